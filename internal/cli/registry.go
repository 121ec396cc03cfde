package cli

import (
	"sync"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/registry"
)

// registryAccess is what the Factory keeps to reach registries: the flags of
// build, push and deploy, and the one client.
type registryAccess struct {
	insecure []string
	caFile   string
	certs    []string
	authFile string

	once   sync.Once
	client *registry.Client
	err    error
}

// addRegistryFlags gives cmd the flags that say how to reach registries.
func addRegistryFlags(f *Factory, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.registry.insecure, "insecure-registry", nil, "speak plain HTTP to this `HOST[:PORT]` (repeatable; loopback needs no flag)")
	flags.StringVar(&f.registry.caFile, "registry-ca", "", "trust the certificate authority in this PEM `FILE` too")
	flags.StringArrayVar(&f.registry.certs, "registry-cert", nil, "client certificate for a registry: `HOST[:PORT]=CERT[,KEY]`, PEM files (repeatable)")
	flags.StringVar(&f.registry.authFile, "authfile", "", "registry credentials `FILE` (default: $REGISTRY_AUTH_FILE, then docker's and podman's)")
	// The flags are registered above, so an error here cannot happen.
	_ = cmd.MarkFlagFilename("registry-ca", "pem", "crt")
	_ = cmd.MarkFlagFilename("authfile", "json")
}

// Registry is the client for all registries, made at the first call from flags
// and settings. It reports its transfers to f.IO.
func (f *Factory) Registry() (*registry.Client, error) {
	r := &f.registry
	r.once.Do(func() {
		opts, err := f.registryOptions()
		if err != nil {
			r.err = err
			return
		}
		if r.err = f.App().ReachLocal(&opts); r.err != nil {
			return
		}
		opts.Progress = f.IO.Progress()
		r.client, r.err = registry.New(opts)
	})
	return r.client, r.err
}

// registryOptions are what flags and settings say about registries.
func (f *Factory) registryOptions() (registry.Options, error) {
	cfg, err := f.Config()
	if err != nil {
		return registry.Options{}, err
	}
	r := &f.registry
	opts := registry.Options{
		AuthFile: r.authFile, AuthFileFrom: "--authfile",
		Env:      f.Sys.Env,
		Insecure: append(r.insecure, cfg.InsecureRegistries...),
		Mirrors:  cfg.Mirrors,
		CAFile:   r.caFile,
	}
	// $KN_LITE_AUTHFILE, which is in cfg.AuthFile too, is left for the client
	// to find, so that it can name the variable.
	if opts.AuthFile == "" && f.Sys.Env("KN_LITE_AUTHFILE") == "" {
		opts.AuthFile, opts.AuthFileFrom = cfg.AuthFile, cfg.File
	}
	if opts.CAFile == "" {
		opts.CAFile = cfg.CAFile
	}
	opts.Certificates, err = clientCertificates(cfg.RegistryCerts, r.certs)
	return opts, err
}

// clientCertificates reads the settings' client certificates and then the flags',
// which win.
func clientCertificates(lists ...[]string) (map[string]registry.KeyPair, error) {
	pairs := map[string]registry.KeyPair{}
	for _, list := range lists {
		for _, text := range list {
			host, pair, err := registry.ParseKeyPair(text)
			if err != nil {
				return nil, err
			}
			pairs[host] = pair
		}
	}
	return pairs, nil
}
