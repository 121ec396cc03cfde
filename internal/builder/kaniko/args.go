package kaniko

import (
	"maps"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/clusterbuild"
)

// Places inside of the container. kaniko takes nothing below its own folder into an
// image, whatever a base or RUN does there.
const (
	home            = "/kaniko"
	authDir         = home + "/.docker"
	authoritiesFile = "registry-ca.pem" // in authDir

	// contextDir is a folder of the context that no COPY sees, for the Dockerfile and
	// what it ignores: a Dockerfile may stand outside of the context.
	contextDir = ".kn-lite-kaniko"
)

// invocation is what kaniko is told.
type invocation struct {
	context     string // a value of --context
	dockerfile  string // a path in the context
	destination string // REGISTRY/NAME:TAG as the container reaches it; "" pushes nothing
	layout      string // a folder for an OCI layout; "" writes none
	target      string
	platform    v1.Platform
	args        map[string]string
	labels      map[string]string
	cache       string // a repository that keeps the layers of steps

	insecure    []string            // registries in plain HTTP
	mirrors     map[string][]string // registry → where to pull from before it
	routes      map[string]string   // registry → its name inside of the cluster
	authorities string              // a file with certificates that all of registries may have
	registries  []string
}

// arguments returns the command line. Values stay as they are; see escape.
func (i *invocation) arguments() []string {
	args := []string{
		// The container is one, whether kaniko recognises it or not.
		"--force",
		"--log-format=json",
		"--context=" + i.context,
		"--dockerfile=" + i.dockerfile,
		"--custom-platform=" + i.platform.String(),
		// The same input gives the same digest, at the price of memory.
		"--reproducible",
		"--compressed-caching=false",
		// Nothing is mounted there, and images may have files in it.
		"--ignore-var-run=false",
		"--image-download-retry=3",
		"--push-retry=3",
	}
	if i.destination == "" {
		args = append(args, "--no-push")
	} else {
		args = append(args, "--destination="+i.destination, "--digest-file="+clusterbuild.VerdictFile)
	}
	if i.layout != "" {
		args = append(args, "--oci-layout-path="+i.layout)
	}
	if i.target != "" {
		args = append(args, "--target="+i.target)
	}
	if i.cache != "" {
		args = append(args, "--cache=true", "--cache-copy-layers=true", "--cache-repo="+i.cache)
	}
	values := platformArgs(i.platform)
	maps.Copy(values, i.args)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		args = append(args, "--build-arg="+name+"="+values[name])
	}
	for _, name := range slices.Sorted(maps.Keys(i.labels)) {
		args = append(args, "--label="+name+"="+i.labels[name])
	}
	return append(args, i.registryArguments()...)
}

func (i *invocation) registryArguments() []string {
	var args []string
	insecure := slices.Concat(i.insecure, slices.Collect(maps.Values(i.routes)))
	slices.Sort(insecure)
	for _, host := range slices.Compact(insecure) {
		args = append(args, "--insecure-registry="+host)
	}
	for _, host := range slices.Sorted(maps.Keys(i.mirrors)) {
		for _, mirror := range i.mirrors[host] {
			args = append(args, "--registry-map="+hubName(host)+"="+mirror)
		}
	}
	for _, host := range slices.Sorted(maps.Keys(i.routes)) {
		args = append(args, "--registry-map="+host+"="+i.routes[host])
	}
	if len(i.routes) > 0 && len(i.mirrors) == 0 {
		// By the other name it is not to be reached, which would be the error that is seen.
		args = append(args, "--skip-default-registry-fallback")
	}
	if i.authorities != "" {
		hosts := slices.Clone(i.registries)
		for _, mirrors := range i.mirrors {
			for _, mirror := range mirrors {
				host, _, _ := strings.Cut(mirror, "/")
				hosts = append(hosts, host)
			}
		}
		slices.Sort(hosts)
		for _, host := range slices.Compact(hosts) {
			args = append(args, "--registry-certificate="+host+"="+i.authorities)
		}
	}
	return args
}

// hubName returns the name that kaniko knows a registry by: of Docker Hub's it
// is the one of its API.
func hubName(host string) string {
	if host == "docker.io" {
		return "index.docker.io"
	}
	return host
}

// platformArgs are what a Dockerfile finds in ARG TARGETARCH and its like: kaniko
// itself gives them no value.
func platformArgs(p v1.Platform) map[string]string {
	full := path.Join(p.OS, p.Architecture, p.Variant)
	return map[string]string{
		"TARGETPLATFORM": full, "TARGETOS": p.OS, "TARGETARCH": p.Architecture, "TARGETVARIANT": p.Variant,
		"BUILDPLATFORM": full, "BUILDOS": p.OS, "BUILDARCH": p.Architecture, "BUILDVARIANT": p.Variant,
	}
}

// escape keeps a kubelet from replacing $(NAME) in the arguments of a container
// (https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/).
func escape(args []string) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = strings.ReplaceAll(arg, "$", "$$")
	}
	return out
}
