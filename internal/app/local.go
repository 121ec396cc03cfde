package app

import (
	"context"
	"fmt"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// LocalUpRequest asks for the platform of this machine.
type LocalUpRequest struct {
	Port, APIPort int // 0 is any free one
	Network       string
	Autoscaler    map[string]string       // settings of config-autoscaler, which are saved
	Ready         func(*local.Info) error // is called once it serves
}

// LocalUp serves the platform until ctx ends, which is no error. As long as it serves,
// its context is the current one of the kubeconfig.
func (a *App) LocalUp(ctx context.Context, r LocalUpRequest) error {
	registries, err := a.RegistryOptions()
	if err != nil {
		return err
	}
	var added *local.Info
	options := a.localOptions()
	options.Version, options.Port, options.APIPort, options.Network = a.Version, r.Port, r.APIPort, r.Network
	options.Autoscaler, options.Registry = r.Autoscaler, registries
	options.Ready = func(info *local.Info) error {
		if err := a.addContext(info); err != nil {
			return err
		}
		added = info
		return r.Ready(info)
	}
	err = local.Up(ctx, options)
	if added != nil {
		if removeErr := cluster.RemoveContext(a.Kubeconfig, cluster.LocalContext, added.Previous); err == nil {
			err = removeErr
		}
	}
	if ctx.Err() != nil && fault.KindOf(err) == fault.KindOf(ctx.Err()) {
		a.report().Note("the platform has stopped; what was deployed is there again after `kn-lite local up`")
		return nil
	}
	return err
}

// addContext makes the platform's context the current one, and notes which was before.
func (a *App) addContext(info *local.Info) error {
	file, previous, err := cluster.AddContext(a.Kubeconfig, cluster.Access{Name: cluster.LocalContext, Server: info.API, CA: info.CA, Token: info.Token, Namespace: "default"})
	if err != nil {
		return err
	}
	if previous == cluster.LocalContext { // of a platform that was killed
		if killed, err := a.Local.Killed(); err == nil && killed != nil {
			previous = killed.Previous
		}
	}
	info.Previous = previous
	a.report().Step(fmt.Sprintf("context %s is current in %s", cluster.LocalContext, file))
	return nil
}

// LocalDown stops the platform if it runs, and with purge removes everything that it has
// saved. It is killed when ctx ends.
func (a *App) LocalDown(ctx context.Context, purge bool) error {
	info, err := a.Local.Settled(ctx) // one that is about to serve is stopped, too
	if err != nil {
		return err
	}
	if info == nil {
		a.report().Note("the platform does not run")
		if err := a.forgetKilled(); err != nil {
			return err
		}
	} else if err := info.Stop(ctx); err != nil {
		return err
	} else {
		a.report().Step("the platform has stopped")
	}
	if !purge {
		return nil
	}
	if err := local.Purge(ctx, a.localOptions()); err != nil {
		return err
	}
	a.report().Step("removed everything in " + a.Local.Dir)
	return nil
}

// forgetKilled takes back what a killed platform has left in the kubeconfig.
func (a *App) forgetKilled() error {
	killed, err := a.Local.Killed()
	if err != nil || killed == nil {
		return err
	}
	if err := cluster.RemoveContext(a.Kubeconfig, cluster.LocalContext, killed.Previous); err != nil {
		return err
	}
	return a.Local.Forget()
}

// ReachLocal adds what a client needs for the platform's registry, while it runs.
func (a *App) ReachLocal(o *registry.Options) error {
	info, err := a.Local.Running()
	if err != nil || info == nil {
		return err
	}
	o.Auths = append(o.Auths, info.RegistryAuth())
	o.Mirrors = info.Mirrors(o.Mirrors)
	return nil
}

// localOptions are those that up and down have in common: where everything is.
func (a *App) localOptions() local.Options {
	return local.Options{
		Place: a.Local, CacheDir: settings.CacheDir(a.Env), Temp: a.Env("TMPDIR"), Path: a.Env("PATH"),
		Warn: a.report().Warn, Debug: a.report().Debug,
	}
}
