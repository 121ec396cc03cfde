package local

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/local/api"
	"github.com/kn-lite/kn-lite/internal/local/autoscale"
	"github.com/kn-lite/kn-lite/internal/local/control"
	"github.com/kn-lite/kn-lite/internal/local/dashboard"
	"github.com/kn-lite/kn-lite/internal/local/kubelet"
	"github.com/kn-lite/kn-lite/internal/local/router"
	"github.com/kn-lite/kn-lite/internal/local/runtime"
	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/internal/local/token"
	"github.com/kn-lite/kn-lite/internal/registry/server"
)

// platform is the parts, put together.
type platform struct {
	store     *store.Store
	runtime   *runtime.Runtime
	front     http.Handler
	dashboard *dashboard.Dashboard
	// functions is what instances reach: nothing of the platform's own.
	functions http.Handler
	api       http.Handler
	loops     []func(context.Context) error
}

// assemble opens what there is on the disk and connects the parts. address is where
// functions and registry are, inner where functions alone are, for each other.
func assemble(ctx context.Context, o Options, credentials *credentials, address, inner string) (*platform, error) {
	p := &platform{}
	if err := p.open(ctx, o, credentials, address, inner); err != nil {
		return nil, errors.Join(err, p.close(ctx))
	}
	return p, nil
}

func (p *platform) open(ctx context.Context, o Options, credentials *credentials, address, inner string) (err error) {
	if p.store, err = store.Open(o.Place.file("state.db")); err != nil {
		return err
	}
	if err := autoscale.Configure(p.store, o.Autoscaler); err != nil {
		return err
	}
	password := registryPassword(credentials.Token)
	images, err := server.Open(ctx, o.Place.file("registry"), password)
	if err != nil {
		return err
	}
	reach := o.Registry
	reach.Auths = append(reach.Auths, server.ClientConfig(address, password))
	if p.runtime, err = runtime.New(ctx, runtime.Options{
		Dir: o.CacheDir, Temp: o.Temp, Path: o.Path, Registry: reach, Network: p.network(o, address, inner), Warn: o.Warn, Now: o.Now,
	}); err != nil {
		return err
	}
	return p.connect(o, credentials, images, address)
}

// network is what instances reach.
func (p *platform) network(o Options, address, inner string) runtime.Network {
	n := runtime.Network{
		Open: o.Network != NetworkNone, Domains: []string{"127.0.0.1.sslip.io", "localhost"},
		Known: func(namespace, name string) bool {
			_, ok := store.Get[*corev1.Service](p.store, namespace, name)
			return ok
		},
	}
	// Both are addresses that this process listens at.
	n.Router, _ = netip.ParseAddrPort(inner)
	if at, err := netip.ParseAddrPort(address); err == nil {
		n.Port = at.Port()
	}
	return n
}

func (p *platform) connect(o Options, credentials *credentials, images *server.Registry, address string) error {
	_, port, _ := net.SplitHostPort(address)
	domain := "127.0.0.1.sslip.io:" + port
	late := &late{}
	tokens, err := token.New(p.store, o.Now)
	if err != nil {
		return err
	}
	pods := kubelet.New(kubelet.Options{Store: p.store, Runtime: p.runtime, Dir: filepath.Join(o.Place.Dir, "pods"), Drain: late, Tokens: tokens})
	late.router = router.New(router.Options{Store: p.store, Domain: domain, Dial: pods, Activate: late.activate})
	if late.scaler, err = autoscale.New(autoscale.Options{Store: p.store, Figures: late.router}); err != nil {
		return err
	}
	controllers := control.New(control.Options{Store: p.store, Domain: domain, Resolver: p.runtime, Now: o.Now, Report: func(err error) { o.Debug(err.Error()) }})
	server := api.New(api.Options{Store: p.store, Token: credentials.Token, Version: o.Version, Logs: pods, Tokens: tokens, Metrics: late.router.Metrics(), Report: o.Warn})
	p.api = server
	p.functions = late.router
	p.dashboard = dashboard.New(dashboard.Options{Store: p.store, Figures: late.router.Requests, Logs: pods, API: server, Token: credentials.Token, Now: o.Now})
	p.front = newFront(late.router, images, withToken(credentials.Token, late.router.Metrics()), p.dashboard)
	p.loops = []func(context.Context) error{
		server.Run, controllers.Run, pods.Run, late.router.Run, late.scaler.Run,
		func(ctx context.Context) error { return giveBack(ctx, p.store, freeMemory) },
		func(ctx context.Context) error { return collectImages(ctx, p.store, images, p.runtime, o.Debug) },
	}
	return nil
}

// late is for parts that need each other: it is filled before any of them runs.
type late struct {
	router *router.Router
	scaler *autoscale.Autoscaler
}

// Drain implements kubelet.Drain.
func (l *late) Drain(ctx context.Context, pod *corev1.Pod) error { return l.router.Drain(ctx, pod) }

func (l *late) activate(namespace, revision string) { l.scaler.Activate(namespace, revision) }

// close ends what assemble has begun.
func (p *platform) close(ctx context.Context) error {
	var failed []error
	if p.runtime != nil {
		failed = append(failed, p.runtime.Close(context.WithoutCancel(ctx)))
	}
	if p.store != nil {
		failed = append(failed, p.store.Close())
	}
	return errors.Join(failed...)
}

// Purge removes everything that the platform has kept, in its folder and unpacked in the
// cache. The platform must not run.
func Purge(ctx context.Context, o Options) error {
	if _, err := os.Stat(o.Place.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := o.Place.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	err = runtime.Purge(ctx, runtime.Options{Dir: o.CacheDir, Temp: o.Temp, Path: o.Path})
	return errors.Join(err, os.RemoveAll(o.Place.Dir))
}
