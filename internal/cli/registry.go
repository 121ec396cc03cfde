package cli

import (
	"context"
	"sync"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
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
func (f *Factory) addRegistryFlags(cmd *cobra.Command) {
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
		if r.err = f.reachLocal(&opts); r.err != nil {
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
		AuthFile: r.authFile,
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

// imageTag is where an image goes: the one that was named, else, when the cluster
// in use is the platform of this machine, its own registry, else func.yaml's image,
// else NAME in func.yaml's or the settings' registry.
func (f *Factory) imageTag(named string, project *function.Function) (string, error) {
	if named != "" || project == nil {
		if named == "" {
			return "", fault.Usagef("which image? there is no %s here to tell", function.File).WithHint("name it with --image REF")
		}
		_, err := registry.ParseTag(named)
		return named, err
	}
	if prefix, err := f.localPrefix(project); err != nil {
		return "", err
	} else if prefix != "" {
		return prefix + "/" + project.Name + ":latest", nil
	}
	tag := project.Image
	if tag == "" {
		cfg, err := f.Config()
		if err != nil {
			return "", err
		}
		prefix := cfg.Registry(project.Registry)
		if prefix == "" {
			return "", fault.Usagef("no registry is known to put the image %q into", project.Name).
				WithHint("`kn-lite local up -d` starts a platform that has one; or set one: --image REGISTRY/%s, KN_LITE_REGISTRY=REGISTRY, or `registry:` in func.yaml", project.Name)
		}
		tag = prefix + "/" + project.Name + ":latest"
	}
	_, err := registry.ParseTag(tag)
	return tag, err
}

// pushImage pushes artifact to tag, tells the story, and returns the reference
// by digest. build --push, push and deploy share it.
func (f *Factory) pushImage(ctx context.Context, artifact registry.Artifact, tag string, with registry.Attached) (string, error) {
	client, err := f.Registry()
	if err != nil {
		return "", err
	}
	task := f.IO.Start(0, "pushing to %s", tag)
	pushed, err := client.PushWith(ctx, artifact, tag, with)
	if err != nil {
		task.Fail()
		return "", err
	}
	task.Done("pushed %s: %s", tag, pushed)
	return pushed.Ref, nil
}
