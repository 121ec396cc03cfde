package app

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// registryApp returns an App with a registry that lets in ada, and the docker config
// that it saves credentials in.
func registryApp(t *testing.T) (a *App, seen *progresstest.Recorder, host, config string) {
	t.Helper()
	server := regtest.New()
	server.Auth, server.User, server.Password = "basic", "ada", "s3cret"
	host, stop, err := regtest.Listen(server, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	dir := t.TempDir()
	env := func(name string) string { return map[string]string{"DOCKER_CONFIG": dir}[name] }
	seen = &progresstest.Recorder{}
	a = &App{
		Settings: func() (*settings.Settings, error) { return &settings.Settings{}, nil },
		// A new client each time, as each command has one: credentials are read anew.
		Registry: func() (*registry.Client, error) {
			client, err := registry.New(registry.Options{Env: env})
			if err == nil {
				t.Cleanup(client.Close)
			}
			return client, err
		},
		Progress: seen, Env: env,
	}
	return a, seen, host, filepath.Join(dir, "config.json")
}

func TestLogin(t *testing.T) {
	a, seen, host, config := registryApp(t)
	password := func(text string) func() (string, error) { return func() (string, error) { return text, nil } }
	if _, err := a.Login(t.Context(), LoginRequest{Registry: host, User: "ada", Password: password("wrong")}); fault.KindOf(err) != fault.Auth {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(config); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("refused and saved: %v", err)
	}
	got, err := a.Login(t.Context(), LoginRequest{Registry: "http://" + host + "/", User: "ada", Password: password("s3cret")})
	if err != nil || *got != (Login{Registry: host, User: "ada", Saved: config}) {
		t.Errorf("%+v, %v", got, err)
	}
	check, err := a.CheckRegistry(t.Context(), CheckRegistryRequest{Name: host + "/me/hello"})
	if err != nil || check.User != "ada" || check.Push.Answer != "yes" || check.Refused() != nil {
		t.Errorf("%+v, %v", check, err)
	}
	for range 2 { // the second time there is nothing to remove
		if got, err := a.Logout(t.Context(), host); err != nil || *got != (Login{Registry: host}) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	want := []string{
		"step logged in to " + host + " as ada; the credentials are in " + config,
		"step removed the credentials for " + host + " from " + config,
		"note there are no credentials for " + host + " in " + config,
	}
	if got := seen.Lines(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestLoginAsks(t *testing.T) {
	a, _, host, _ := registryApp(t)
	for _, tt := range []struct {
		user  string
		next  []string
		asked int
		says  string
	}{
		{"", []string{"ada", "s3cret"}, 2, ""},
		{"ada", []string{"s3cret"}, 1, ""},
		{"", []string{""}, 1, "a login needs a user's name"},
		{"", nil, 1, "nobody answers"},
		{"ada", []string{""}, 1, "a login needs a password"},
	} {
		prompt := &answers{next: tt.next}
		a.Prompt = prompt
		_, err := a.Login(t.Context(), LoginRequest{Registry: host, User: tt.user})
		if len(prompt.asked) != tt.asked || (tt.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q %q: %v, asked %q", tt.user, tt.next, err, prompt.asked)
		}
	}
	a.Prompt = nil
	if _, err := a.Login(t.Context(), LoginRequest{Registry: host}); fault.KindOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), "kn-lite registry login "+host) {
		t.Errorf("nobody to ask: %v, %s", err, fault.HintOf(err))
	}
	if _, err := a.Login(t.Context(), LoginRequest{Registry: "no host/"}); fault.KindOf(err) != fault.Usage {
		t.Errorf("%v", err)
	}
	if _, err := a.Logout(t.Context(), "no host/"); fault.KindOf(err) != fault.Usage {
		t.Errorf("%v", err)
	}
}

// What is checked is a registry, an image in one, or the image of the project here.
func TestCheckedRegistry(t *testing.T) {
	a, _, host, _ := registryApp(t)
	t.Chdir(t.TempDir())
	if _, err := a.CheckRegistry(t.Context(), CheckRegistryRequest{}); fault.KindOf(err) != fault.Usage {
		t.Errorf("no project: %v", err)
	}
	if err := os.WriteFile("func.yaml", []byte("specVersion: 0.36.0\nname: hello\nruntime: go\nimage: "+host+"/me/hello:v1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, repository, refused string }{
		{host, "", "not permitted to pull from it"},
		{"http://" + host + "/", "", "not permitted to pull from it"},
		{host + "/me/other", "me/other", "not permitted to pull from it"},
		{"", "me/hello", "not permitted to pull from it"},
	} {
		got, err := a.CheckRegistry(t.Context(), CheckRegistryRequest{Name: tt.name})
		if err != nil || got.Host != host || got.Repository != tt.repository {
			t.Errorf("%q: %+v, %v", tt.name, got, err)
			continue
		}
		if err := got.Refused(); fault.KindOf(err) != fault.Auth || !strings.Contains(err.Error(), tt.refused) {
			t.Errorf("%q: %v", tt.name, err)
		}
	}
}

// testRegistry returns the address of an empty registry, and a client of it.
func testRegistry(t *testing.T) (host string, client *registry.Client) {
	t.Helper()
	host, stop, err := regtest.Listen(regtest.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	if client, err = registry.New(registry.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return host, client
}
