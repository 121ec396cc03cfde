package kaniko

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/clusterbuild"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// authorise gives the pod the credentials for refs, and for its own image, and the
// certificates that are trusted here.
func (t *task) authorise(ctx context.Context, spec *clusterbuild.Spec, call *invocation, refs []string, routes map[string]string) error {
	config, err := t.registries.DockerConfig(ctx, append(slices.Clone(refs), t.image)...)
	if err != nil {
		return err
	}
	pushTo, err := registry.Parse(refs[len(t.needed.Images)])
	if err != nil {
		return err
	}
	if config, err = byHost(config, pushTo.Registry+"/"+pushTo.Repository, routes); err != nil {
		return err
	}
	spec.DockerConfig = config
	file := t.registries.Options().CAFile
	if file == "" {
		return nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return &fault.Error{Op: "registry.ca", Kind: fault.Usage, Subject: file, Err: err}
	}
	for _, text := range refs {
		if ref, err := registry.Parse(text); err == nil {
			call.registries = append(call.registries, ref.Registry)
		}
	}
	if spec.DockerConfig == nil {
		spec.DockerConfig = []byte(`{"auths":{}}`)
	}
	spec.AuthFiles = map[string][]byte{authoritiesFile: raw}
	call.authorities = path.Join(authDir, authoritiesFile)
	return nil
}

// byHost adds to credentials for single repositories those for their registries, of
// pushTo first: kaniko looks for no others when it pushes. A registry with another
// name inside of the cluster gets them under that name, too.
func byHost(config []byte, pushTo string, routes map[string]string) ([]byte, error) {
	if config == nil {
		return nil, nil
	}
	var all struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if err := json.Unmarshal(config, &all); err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(all.Auths)) {
		host, repository, ok := strings.Cut(key, "/")
		if !ok || strings.Contains(key, "://") {
			continue
		}
		if _, there := all.Auths[host]; !there {
			all.Auths[host] = all.Auths[key]
		}
		if to := routes[host]; to != "" {
			all.Auths[to+"/"+repository] = all.Auths[key]
		}
	}
	if host, _, _ := strings.Cut(pushTo, "/"); all.Auths[pushTo] != nil {
		all.Auths[host] = all.Auths[pushTo]
	}
	for host, to := range routes {
		if entry, ok := all.Auths[host]; ok {
			all.Auths[to] = entry
		}
	}
	return json.Marshal(all)
}

// routed returns tag as the pod reaches it.
func routed(tag string, routes map[string]string) (string, error) {
	ref, err := registry.ParseTag(tag)
	if err != nil {
		return "", err
	}
	if to := routes[ref.Registry]; to != "" {
		return to + "/" + ref.Repository + ":" + ref.Tag, nil
	}
	return tag, nil
}

// routedRepository is routed for the name of a repository.
func routedRepository(name string, routes map[string]string) (string, error) {
	ref, err := registry.Parse(name)
	if err != nil {
		return "", err
	}
	if to := routes[ref.Registry]; to != "" {
		return to + "/" + ref.Repository, nil
	}
	return name, nil
}
