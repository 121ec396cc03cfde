package function

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/yamledit"
)

// legacy is the layout before 0.34.0, in which everything stood at the top
// (knative/func, pkg/functions/function_migrations.go).
type legacy struct {
	Version         string            `yaml:"version"` // became specVersion in 0.25.0
	Git             Git               `yaml:"git"`
	Builder         string            `yaml:"builder"`  // an image before 0.23.0
	Builders        map[string]string `yaml:"builders"` // gone since 0.23.0
	BuilderImages   map[string]string `yaml:"builderImages"`
	Buildpacks      []string          `yaml:"buildpacks"`
	BuildEnvs       []Env             `yaml:"buildEnvs"`
	Volumes         []legacyVolume    `yaml:"volumes"`
	Envs            []Env             `yaml:"envs"`
	Annotations     map[string]string `yaml:"annotations"`
	Options         Options           `yaml:"options"`
	Labels          []Label           `yaml:"labels"`
	HealthEndpoints HealthEndpoints   `yaml:"healthEndpoints"`
	Invocation      invocation        `yaml:"invocation"` // became invoke in 0.35.0
}

type legacyVolume struct {
	Secret    *string `yaml:"secret"`
	ConfigMap *string `yaml:"configMap"`
	Path      string  `yaml:"path"`
}

type invocation struct {
	Format string `yaml:"format"`
}

// newer is what 0.38.0 moved to the top.
type newer struct {
	Scale newerScale `yaml:"scale"`
}

type newerScale struct {
	Min *int64 `yaml:"min"`
	Max *int64 `yaml:"max"`
	KPA kpa    `yaml:"kpa"`
}

type kpa struct {
	Metric      string   `yaml:"metric"`
	Target      *float64 `yaml:"target"`
	Utilization *float64 `yaml:"utilization"`
}

// version is major, minor and patch of a specVersion.
type version [3]int

func (v version) less(w version) bool {
	for i := range v {
		if v[i] != w[i] {
			return v[i] < w[i]
		}
	}
	return false
}

func parseVersion(text string) (v version, ok bool) {
	parts := strings.Split(strings.TrimPrefix(text, "v"), ".")
	if len(parts) > len(v) {
		return v, false
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return v, false
		}
		v[i] = int(n)
	}
	return v, true
}

// document fills f from the file's root, whichever layout it has.
func (d *decoder) document(root *yaml.Node, f *Function) {
	var spec string
	for i := 0; i+1 < len(root.Content); i += 2 {
		if key, value := root.Content[i], root.Content[i+1]; key.Value == "specVersion" && value.Kind == yaml.ScalarNode && !yamledit.IsNull(value) {
			spec = value.Value
			v, ok := parseVersion(spec)
			switch {
			case !ok && spec != "":
				d.problem(value, "specVersion", "the newest that kn-lite knows is "+SpecVersion, "%s is not a version", shown(value))
			case version{0, 38, 0}.less(v):
				d.newer = true
				d.warn(value, "specVersion", "", false, "%s is newer than what kn-lite knows: settings that came since have no effect", spec)
			}
		}
	}
	v, _ := parseVersion(spec)
	old, later := &legacy{}, &newer{}
	call := &struct {
		Invocation invocation `yaml:"invocation"`
	}{}
	targets := []reflect.Value{reflect.ValueOf(f).Elem(), reflect.ValueOf(later).Elem()}
	if v.less(version{0, 34, 0}) {
		targets = append(targets, reflect.ValueOf(old).Elem())
		root = withoutBuildType(root)
	} else if v.less(version{0, 35, 0}) {
		targets = append(targets, reflect.ValueOf(call).Elem())
	}
	d.structure(root, root, "", targets...)
	if old.Invocation == (invocation{}) {
		old.Invocation = call.Invocation
	}
	d.lift(f, old, later)
	d.advise(f)
}

// advise warns of what is allowed and will probably not do what it should.
func (d *decoder) advise(f *Function) {
	at := func(path string) *yaml.Node { return &yaml.Node{Line: d.marks[path].line, Column: d.marks[path].col} }
	runtimes := []string{"go", "node", "typescript", "python", "java", "rust", "quarkus", "springboot"}
	if near := fault.Nearest(f.Runtime, runtimes); near != "" && !slices.Contains(runtimes, f.Runtime) {
		d.warn(at("runtime"), "runtime", fmt.Sprintf("did you mean %q?", near), true, "%q is not a runtime that kn-lite or func have", f.Runtime)
	}
	if len(f.Name) > maxNameWithRevision && len(f.Name) <= maxLabel {
		d.warn(at("name"), "name", "a shorter name leaves room", false, "has %d characters: revisions are called NAME-v1, and %d are all there may be", len(f.Name), maxLabel)
	}
	for path, deployer := range map[string]string{"deployer": f.Deployer, "deploy.deployer": f.Deploy.Deployer} {
		if deployer == "raw" || deployer == "keda" {
			d.warn(at(path), path, "", false, "kn-lite deploys Knative services, whatever the deployer %q would make", deployer)
		}
	}
	d.warnWithoutEffect(f, at)
}

// maxNameWithRevision leaves room for "-v9999" in a DNS label.
const maxNameWithRevision = maxLabel - len("-v9999")

// withoutBuildType drops the build type that old files have under the key that
// is a mapping now.
func withoutBuildType(root *yaml.Node) *yaml.Node {
	kept := *root
	kept.Content = nil
	for i := 0; i+1 < len(root.Content); i += 2 {
		if key, value := root.Content[i], root.Content[i+1]; key.Value != "build" || value.Kind != yaml.ScalarNode {
			kept.Content = append(kept.Content, key, value)
		}
	}
	return &kept
}

// movedTo is the present path of a top-level key from before 0.34.0, or "".
func movedTo(path, key string) string {
	if path != "" {
		return ""
	}
	switch key {
	case "git", "builder", "builderImages", "buildpacks", "buildEnvs":
		return "build." + key
	case "volumes", "envs":
		return "run." + key
	case "annotations", "options", "labels", "healthEndpoints":
		return "deploy." + key
	}
	return ""
}

// lift puts what older and newer layouts have elsewhere to its place in f. As
// in func, old lists come after those that already stand in the right place.
func (d *decoder) lift(f *Function, old *legacy, later *newer) {
	if f.SpecVersion == "" {
		f.SpecVersion = old.Version
	}
	if f.Build.Git == (Git{}) {
		f.Build.Git = old.Git
		if f.Build.Source != (Source{}) {
			f.Build.Git = Git{URL: f.Build.Source.URL, Revision: f.Build.Source.Revision, ContextDir: f.Build.Source.Dir}
		}
	}
	if f.Build.Builder == "" && !strings.Contains(old.Builder, "/") {
		f.Build.Builder = old.Builder
	}
	d.liftMap(&f.Build.BuilderImages, old.BuilderImages, "builderImages", "build.builderImages")
	d.liftMap(&f.Deploy.Annotations, old.Annotations, "annotations", "deploy.annotations")
	f.Build.Buildpacks = append(f.Build.Buildpacks, old.Buildpacks...)
	d.moveList("buildEnvs", "build.buildEnvs", len(f.Build.BuildEnvs), len(old.BuildEnvs))
	f.Build.BuildEnvs = append(f.Build.BuildEnvs, old.BuildEnvs...)
	d.moveList("envs", "run.envs", len(f.Run.Envs), len(old.Envs))
	f.Run.Envs = append(f.Run.Envs, old.Envs...)
	d.moveList("labels", "deploy.labels", len(f.Deploy.Labels), len(old.Labels))
	f.Deploy.Labels = append(f.Deploy.Labels, old.Labels...)
	d.moveList("volumes", "run.volumes", len(f.Run.Volumes), len(old.Volumes))
	for _, v := range old.Volumes {
		f.Run.Volumes = append(f.Run.Volumes, Volume{Secret: v.Secret, ConfigMap: v.ConfigMap, Path: v.Path})
	}
	for i := range f.Run.Volumes {
		// The schema misspelt this key before 0.36.0.
		if v := &f.Run.Volumes[i]; v.PersistentVolumeClaim == nil {
			v.PersistentVolumeClaim = v.Presistent
		}
	}
	if f.Deploy.HealthEndpoints == (HealthEndpoints{}) {
		f.Deploy.HealthEndpoints = old.HealthEndpoints
		d.move("healthEndpoints", "deploy.healthEndpoints")
	}
	if f.Invoke == "" && old.Invocation.Format != "http" {
		f.Invoke = old.Invocation.Format
		d.move("invocation.format", "invoke")
	}
	if f.Deploy.Options == (Options{}) {
		f.Deploy.Options = old.Options
		d.move("options", "deploy.options")
	}
	if later.Scale != (newerScale{}) {
		f.Deploy.Options.Scale = Scale{Min: later.Scale.Min, Max: later.Scale.Max, Metric: later.Scale.KPA.Metric, Target: later.Scale.KPA.Target, Utilization: later.Scale.KPA.Utilization}
		d.move("scale.kpa", "deploy.options.scale")
		d.move("scale", "deploy.options.scale")
	}
}

func (d *decoder) liftMap(to *map[string]string, from map[string]string, oldPath, newPath string) {
	for key, value := range from {
		if *to == nil {
			*to = map[string]string{}
		}
		(*to)[key] = value
	}
	if len(from) > 0 {
		d.move(oldPath, newPath)
	}
}

// move lets the marks of an old path be found under the new one.
func (d *decoder) move(from, to string) {
	moved := map[string]mark{}
	for path, m := range d.marks {
		if rest, found := strings.CutPrefix(path, from); found && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			moved[to+rest] = m
		}
	}
	for path, m := range moved {
		d.marks[path] = m
	}
}

// moveList is move for a list whose entries come after those already there.
func (d *decoder) moveList(from, to string, before, count int) {
	for i := range count {
		d.move(from+"["+strconv.Itoa(i)+"]", to+"["+strconv.Itoa(before+i)+"]")
	}
}
