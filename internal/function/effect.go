package function

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// warnWithoutEffect names what func's schema has and kn-lite does nothing with:
// a setting that is ignored without a word is taken for one that works.
func (d *decoder) warnWithoutEffect(f *Function, at func(path string) *yaml.Node) {
	const remote = "kn-lite builds from the folder that it is called for"
	for _, s := range []struct {
		path string
		set  bool
		why  string
	}{
		{"build.git", f.Build.Git != Git{}, remote},
		{"build.source", f.Build.Source != Source{}, remote},
		{"build.pvcSize", f.Build.PVCSize != "", "a build in the cluster needs no claim"},
		{"build.remoteStorageClass", f.Build.RemoteStorageClass != "", "a build in the cluster needs no claim"},
		{"build.buildpacks", len(f.Build.Buildpacks) > 0, "no buildpack takes part in a build"},
		{"build.volumes", len(f.Build.Volumes) > 0, "a build sees its own folder only; use a Dockerfile with RUN --mount"},
		{"run.kafka", f.Run.Kafka != Kafka{}, "create a KafkaSource that sends to the service"},
		{"run.podSecurityContext.FSGroup", f.Run.PodSecurityContext.FSGroup != nil, "Knative has no place for it in a service"},
		{"deploy.subscriptions", len(f.Deploy.Subscriptions) > 0, "create them with `kn trigger create --broker SOURCE --sink ksvc:NAME`"},
		{"deploy.remote", f.Deploy.Remote, "use the builder cluster"},
	} {
		if !s.set {
			continue
		}
		path := s.path
		if _, found := d.marks[path]; !found {
			_, path, _ = strings.Cut(path, ".") // files from before 0.34 have it at the top
		}
		d.warn(at(path), path, s.why, false, "has no effect in kn-lite")
	}
	if e := f.Deploy.Expose; e != "" && !slices.Contains([]string{ExposeCluster, ExposePublic}, e) {
		d.warn(at("deploy.expose"), "deploy.expose", "it knows cluster and public", false, "%q has no effect in kn-lite", e)
	}
}

// Who may reach a function: other services of its cluster, or everybody.
const (
	ExposeCluster = "cluster"
	ExposePublic  = "public"
)

// StartBudget returns how long run.startTimeout lets a container start, and 0
// where it does not say. It is a duration as Go writes it, or nanoseconds.
func (f *Function) StartBudget() time.Duration {
	// Load has refused what cannot be read.
	budget, _ := parseStartTimeout(f.Run.StartTimeout)
	return budget
}

func parseStartTimeout(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if ns, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(ns), nil
	}
	return time.ParseDuration(text)
}
