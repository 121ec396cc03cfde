package local

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/router"
	"github.com/kn-lite/kn-lite/internal/parallel"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// closeWithin bounds how long requests and instances have at the end.
const closeWithin = 10 * time.Second

// Up starts the platform and serves until ctx ends. Whatever it has started is gone
// when it returns.
//
// Errors: Conflict when the platform runs already or a port is taken.
func Up(ctx context.Context, o Options) (err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := o.Place.Make(); err != nil {
		return err
	}
	lock, err := o.Place.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	sandbox.LeaveTerminal()
	credentials, err := o.Place.openCredentials(o.Now())
	if err != nil {
		return err
	}
	front, err := listen(ctx, "{Port}", o.Port)
	if err != nil {
		return err
	}
	defer front.Close()
	api, err := listen(ctx, "{APIPort}", o.APIPort)
	if err != nil {
		return err
	}
	defer api.Close()

	inner, err := listen(ctx, "", 0)
	if err != nil {
		return err
	}
	defer inner.Close()

	former, err := o.Place.noteAddress(front.Addr().String())
	if err != nil {
		return err
	}
	o.Registry.Mirrors = movedTo(front.Addr().String(), former, o.Registry.Mirrors)
	p, err := assemble(ctx, o, credentials, front.Addr().String(), inner.Addr().String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	info := &Info{
		PID: os.Getpid(), Started: o.Now(), Version: o.Version, Token: credentials.Token, CA: credentials.Certificate,
		API: "https://" + api.Addr().String(), Address: front.Addr().String(), Isolated: p.runtime.Isolated(), Network: o.Network, Former: former,
	}
	return p.serve(ctx, o, info, credentials, listeners{front, inner, api})
}

// listeners are those of a platform: for clients, for functions among each other, and
// the API's.
type listeners struct{ front, inner, api net.Listener }

// serve runs everything until ctx or one part ends.
func (p *platform) serve(ctx context.Context, o Options, info *Info, credentials *credentials, at listeners) error {
	pair, err := credentials.pair()
	if err != nil {
		return fault.New(fault.Failure, "local.up", "", "%w", err)
	}
	all, ctx := parallel.WithContext(ctx)
	for _, run := range p.loops {
		all.Go(func() error { return run(ctx) })
	}
	frontServer, innerServer := router.NewServer(p.front), router.NewServer(p.functions)
	frontServer.RegisterOnShutdown(p.dashboard.Close)
	apiServer := &http.Server{
		Handler: p.api, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10, IdleTimeout: 2 * time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}
	all.Go(func() error { return serveUntil(ctx, frontServer, func() error { return frontServer.Serve(at.front) }) })
	all.Go(func() error { return serveUntil(ctx, innerServer, func() error { return innerServer.Serve(at.inner) }) })
	all.Go(func() error {
		return serveUntil(ctx, apiServer, func() error { return apiServer.ServeTLS(at.api, "", "") })
	})
	all.Go(func() error {
		// What the call back adds to info is for the clients, too.
		if err := o.Ready(info); err != nil {
			return err
		}
		if err := o.Place.publish(info); err != nil {
			return err
		}
		<-ctx.Done()
		return errors.Join(ctx.Err(), o.Place.withdraw())
	})
	return all.Wait()
}

// serveUntil serves until ctx ends; open requests get some time then.
func serveUntil(ctx context.Context, server *http.Server, serve func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	select {
	case err := <-ended:
		return fault.New(fault.Failure, "local.up", "", "%w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin/10)
	defer cancel()
	err := server.Shutdown(grace)
	if err != nil { // a watch, or a request that streams
		err = server.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) { // which was asked for
		err = errors.Join(err, served)
	}
	return errors.Join(ctx.Err(), err)
}

func listen(ctx context.Context, option string, port int) (net.Listener, error) {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fault.New(fault.Conflict, "local.up", address, "the port is taken").WithHint("choose another one: %s PORT, or 0 for any free one", option)
	case errors.Is(err, syscall.EACCES):
		return nil, fault.New(fault.Auth, "local.up", address, "ports below 1024 are for root here").WithHint("choose another one: %s PORT, or 0 for any free one", option)
	case err != nil:
		return nil, fault.New(fault.Failure, "local.up", address, "%w", err)
	}
	return listener, nil
}
