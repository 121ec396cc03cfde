package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// LoginRequest asks for credentials to be checked and saved.
type LoginRequest struct {
	Registry string
	User     string                 // "": it is asked for
	Password func() (string, error) // nil: it is asked for
}

// Login is what is known about the credentials for a registry.
type Login struct {
	Registry string `json:"registry"`
	User     string `json:"user,omitempty"`
	Saved    string `json:"kept,omitempty"` // file or helper that has the credentials
}

// Login saves the credentials for a registry, once it has accepted them.
func (a *App) Login(ctx context.Context, r LoginRequest) (*Login, error) {
	host, err := registry.ParseHost(r.Registry)
	if err != nil {
		return nil, err
	}
	client, err := a.Registry()
	if err != nil {
		return nil, err
	}
	password, err := a.loginPassword(ctx, &r)
	if err != nil {
		return nil, err
	}
	saved, err := client.Login(ctx, host, r.User, password)
	if err != nil {
		return nil, err
	}
	a.report().Step(fmt.Sprintf("logged in to %s as %s; the credentials are in %s", host, r.User, saved))
	return &Login{Registry: host, User: r.User, Saved: saved}, nil
}

// loginPassword returns the password, and completes the user's name.
func (a *App) loginPassword(ctx context.Context, r *LoginRequest) (string, error) {
	if r.Password != nil {
		return r.Password()
	}
	if a.Prompt == nil {
		return "", fault.New(fault.Usage, "app.login", "", "there is nobody to ask for a password").
			WithHint(`give both: printf %%s "$TOKEN" | kn-lite registry login %s -u USER {PasswordStdin}`, r.Registry)
	}
	if r.User == "" {
		user, err := a.Prompt.Ask(ctx, "User: ")
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil || user == "" {
			return "", errors.Join(fault.Usagef("a login needs a user's name"), err)
		}
		r.User = user
	}
	password, err := a.Prompt.Secret(ctx, "Password or access token: ")
	if err == nil && password == "" {
		err = fault.Usagef("a login needs a password")
	}
	return password, err
}

// Logout removes the credentials for a registry.
func (a *App) Logout(ctx context.Context, name string) (*Login, error) {
	host, err := registry.ParseHost(name)
	if err != nil {
		return nil, err
	}
	client, err := a.Registry()
	if err != nil {
		return nil, err
	}
	from, found, err := client.Logout(ctx, host)
	if err != nil {
		return nil, err
	}
	if found {
		a.report().Step(fmt.Sprintf("removed the credentials for %s from %s", host, from))
	} else {
		a.report().Note(fmt.Sprintf("there are no credentials for %s in %s", host, from))
	}
	return &Login{Registry: host}, nil
}

// CheckRegistryRequest names what is checked.
type CheckRegistryRequest struct {
	Name      string // a registry, or an image in one; "" is the image of the project in this folder
	Namespace string // as in BuildRequest
}

// CheckRegistry asks a registry for what a pull and a push need. One that refuses is no
// error: registry.Check.Refused makes one of it.
func (a *App) CheckRegistry(ctx context.Context, r CheckRegistryRequest) (*registry.Check, error) {
	host, repository, err := a.checkedName(r)
	if err != nil {
		return nil, err
	}
	client, err := a.Registry()
	if err != nil {
		return nil, err
	}
	return client.Check(ctx, host, repository)
}

// checkedName returns the registry that is meant, and the repository of an image.
func (a *App) checkedName(r CheckRegistryRequest) (host, repository string, err error) {
	name := r.Name
	if name == "" {
		project, err := FindProject(".")
		if err != nil {
			return "", "", err
		}
		if project == nil {
			return "", "", fault.Usagef("which registry? there is no function in this folder to tell").WithHint("name one: kn-lite registry check REGISTRY")
		}
		if name, err = a.ImageTag("", project, r.Namespace); err != nil {
			return "", "", err
		}
	} else if !strings.Contains(strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://"), "/"), "/") {
		host, err = registry.ParseHost(name)
		return host, "", err
	}
	ref, err := registry.Parse(name)
	return ref.Registry, ref.Repository, err
}
