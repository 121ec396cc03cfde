package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
	"github.com/traefik/paerser/cli"
	ptypes "github.com/traefik/paerser/types"
	tcli "github.com/traefik/traefik/v3/pkg/cli"
	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/config/runtime"
	"github.com/traefik/traefik/v3/pkg/config/static"
	"github.com/traefik/traefik/v3/pkg/observability/metrics"
	"github.com/traefik/traefik/v3/pkg/provider/aggregator"
	"github.com/traefik/traefik/v3/pkg/provider/traefik"
	"github.com/traefik/traefik/v3/pkg/proxy/httputil"
	"github.com/traefik/traefik/v3/pkg/safe"
	"github.com/traefik/traefik/v3/pkg/server"
	"github.com/traefik/traefik/v3/pkg/server/middleware"
	"github.com/traefik/traefik/v3/pkg/server/service"
	"github.com/traefik/traefik/v3/pkg/tcp"
	traefiktls "github.com/traefik/traefik/v3/pkg/tls"
)

// traefikServer is Traefik with its own configuration flags, but assembled
// here: without ACME, plugins, Tailscale and SPIFFE, none of which a
// devcluster uses and which are most of Traefik's compile time.
func traefikServer(ctx context.Context) int {
	conf := static.Configuration{
		Global:      &static.Global{},
		EntryPoints: make(static.EntryPoints),
		Providers: &static.Providers{
			ProvidersThrottleDuration: ptypes.Duration(2 * time.Second),
		},
		ServersTransport:    &static.ServersTransport{MaxIdleConnsPerHost: 200},
		TCPServersTransport: &static.TCPServersTransport{DialTimeout: ptypes.Duration(30 * time.Second)},
	}
	zerolog.SetGlobalLevel(zerolog.ErrorLevel) // until --log.level is known
	err := cli.Execute(&cli.Command{
		Name:          "traefik",
		Description:   "The ingress controller of a devcluster.",
		Configuration: &conf,
		Resources:     []cli.ResourceLoader{&tcli.FlagLoader{}},
		Run:           func([]string) error { return serveTraefik(ctx, &conf) },
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "traefik: %v\n", err)
		return 1
	}
	return 0
}

func serveTraefik(ctx context.Context, conf *static.Configuration) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := traefikLog(conf); err != nil {
		return err
	}
	conf.SetEffectiveConfiguration()
	if err := conf.ValidateConfiguration(); err != nil {
		return err
	}
	srv, err := newTraefik(ctx, conf)
	if err != nil {
		return err
	}
	if conf.Ping != nil {
		conf.Ping.WithContext(ctx)
	}
	srv.Start(ctx)
	defer srv.Close()
	srv.Wait()
	return nil
}

func traefikLog(conf *static.Configuration) error {
	level := zerolog.ErrorLevel
	if conf.Log != nil && conf.Log.Level != "" {
		var err error
		if level, err = zerolog.ParseLevel(strings.ToLower(conf.Log.Level)); err != nil {
			return fmt.Errorf("--log.level: %w", err)
		}
	}
	zerolog.SetGlobalLevel(level)
	log.Logger = zerolog.New(zerolog.ConsoleWriter{Out: os.Stdout, TimeFormat: time.RFC3339, NoColor: true}).
		With().Timestamp().Logger().Level(level)
	zerolog.DefaultContextLogger = &log.Logger
	return nil
}

// newTraefik wires the server in the order that Traefik's own main uses;
// listeners of the watcher run in the order in which they are added.
func newTraefik(ctx context.Context, conf *static.Configuration) (*server.Server, error) {
	providers := aggregator.NewProviderAggregator(*conf.Providers)
	if err := providers.AddProvider(traefik.New(*conf)); err != nil {
		return nil, err
	}
	pool := safe.NewPool(context.WithoutCancel(ctx))
	tlsManager := traefiktls.NewManager(conf.OCSP)
	pool.GoCtx(tlsManager.Run)

	var registries []metrics.Registry
	if conf.Metrics != nil && conf.Metrics.Prometheus != nil {
		if r := metrics.RegisterPrometheus(ctx, conf.Metrics.Prometheus); r != nil {
			registries = append(registries, r)
		}
	}
	registry := metrics.NewMultiRegistry(registries)
	observability := middleware.NewObservabilityMgr(*conf, registry, nil, nil, nil, nil)

	entryTCP, err := server.NewTCPEntryPoints(conf.EntryPoints, conf.HostResolver, registry)
	if err != nil {
		return nil, err
	}
	entryUDP, err := server.NewUDPEntryPoints(conf.EntryPoints)
	if err != nil {
		return nil, err
	}

	transports := service.NewTransportManager(nil)
	proxies := httputil.NewProxyBuilder(transports, nil)
	dialers := tcp.NewDialerManager(nil)
	managers := service.NewManagerFactory(*conf, pool, observability, transports, proxies, http.NotFoundHandler())
	routers, err := server.NewRouterFactory(*conf, managers, tlsManager, observability, nil, dialers)
	if err != nil {
		return nil, err
	}

	watcher := server.NewConfigurationWatcher(pool, providers, defaultEntryPoints(conf), "internal")
	watcher.AddListener(func(c dynamic.Configuration) {
		tlsManager.UpdateConfigs(context.WithoutCancel(ctx), c.TLS.Stores, c.TLS.Options, c.TLS.Certificates)
	})
	watcher.AddListener(func(dynamic.Configuration) {
		registry.ConfigReloadsCounter().Add(1)
		registry.LastConfigReloadSuccessGauge().Set(float64(time.Now().Unix()))
	})
	watcher.AddListener(func(c dynamic.Configuration) {
		transports.Update(c.HTTP.ServersTransports)
		proxies.Update(c.HTTP.ServersTransports)
		dialers.Update(c.TCP.ServersTransports)
	})
	watcher.AddListener(func(c dynamic.Configuration) {
		tcpRouters, udpRouters := routers.CreateRouters(runtime.NewConfig(c))
		entryTCP.Switch(tcpRouters)
		entryUDP.Switch(udpRouters)
	})
	if registry.IsEpEnabled() || registry.IsRouterEnabled() || registry.IsSvcEnabled() {
		names := make([]string, 0, len(entryTCP))
		for name := range entryTCP {
			names = append(names, name)
		}
		watcher.AddListener(func(c dynamic.Configuration) { metrics.OnConfigurationUpdate(c, names) })
	}
	return server.NewServer(pool, entryTCP, entryUDP, watcher, observability), nil
}

func defaultEntryPoints(conf *static.Configuration) []string {
	var all, marked []string
	for name, ep := range conf.EntryPoints {
		if protocol, err := ep.GetProtocol(); err != nil || protocol == "udp" || name == static.DefaultInternalEntryPointName {
			continue
		}
		all = append(all, name)
		if ep.AsDefault {
			marked = append(marked, name)
		}
	}
	if len(marked) > 0 {
		all = marked
	}
	slices.Sort(all)
	return all
}
