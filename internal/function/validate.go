package function

import (
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// maxInstances is what the pod count of a deployment can hold.
const maxInstances = math.MaxInt32

// Validate says whether the settings make sense; the error has every mistake
// with its place. Load has done this already: it is for a Function that was
// changed since.
func (f *Function) Validate() error { return Fault(f.Problems()) }

// Problems are the mistakes that Validate reports, in file order.
func (f *Function) Problems() []Problem {
	c := &checker{doc: f.doc}
	c.identity(f)
	c.envs("run.envs", f.Run.Envs, true)
	c.envs("build.buildEnvs", f.Build.BuildEnvs, false)
	c.volumes(f.Run.Volumes)
	c.labels(f.Deploy)
	c.scale(f.Deploy.Options.Scale)
	c.resources(f.Deploy.Options.Resources)
	c.endpoint("deploy.healthEndpoints.liveness", f.Deploy.HealthEndpoints.Liveness)
	c.endpoint("deploy.healthEndpoints.readiness", f.Deploy.HealthEndpoints.Readiness)
	if budget, err := parseStartTimeout(f.Run.StartTimeout); err != nil || budget < 0 {
		c.add("run.startTimeout", "write it like 90s or 5m", "%q is not a duration", f.Run.StartTimeout)
	}
	for i, s := range f.Deploy.Subscriptions {
		if s.Source == "" {
			c.add(fmt.Sprintf("deploy.subscriptions[%d].source", i), "", "is missing: it names the broker")
		}
	}
	slices.SortStableFunc(c.problems, ByPlace)
	return c.problems
}

type checker struct {
	doc      *document
	problems []Problem
}

func (c *checker) add(path, hint, format string, args ...any) {
	m := c.doc.mark(path)
	shown := path
	if _, found := c.doc.marks[path]; found {
		shown = m.path // the name that an older layout has for it
	}
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, Problem{File: c.doc.file, Line: m.line, Col: m.col, Path: shown, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
}

// has reports whether the file gives path a value, "" included.
func (c *checker) has(path string) bool {
	_, found := c.doc.marks[path]
	return found
}

func (c *checker) identity(f *Function) {
	switch {
	case f.Name == "":
		c.add("name", NameRule, "is missing")
	case !isServiceName(f.Name):
		hint := NameRule
		if good := SuggestName(f.Name); good != "" {
			hint += "; for example " + good
		}
		c.add("name", hint, "%q is not a valid name", f.Name)
	}
	for path, namespace := range map[string]string{"namespace": f.Namespace, "deploy.namespace": f.Deploy.Namespace} {
		if namespace != "" && !isDNSLabel(namespace) {
			c.add(path, "a namespace has 1 to 63 lower-case letters, digits and '-'", "%q is not a valid namespace", namespace)
		}
	}
	c.oneOf("invoke", f.Invoke, "http", "cloudevent")
	c.oneOf("deployer", f.Deployer, "knative", "raw", "keda")
	c.oneOf("deploy.deployer", f.Deploy.Deployer, "knative", "raw", "keda")
	for path, ref := range map[string]string{"image": f.Image, "deploy.image": f.Deploy.Image, "build.baseImage": f.Build.BaseImage, "registry": f.Registry} {
		if strings.ContainsAny(ref, " \t\r\n") || strings.Contains(ref, "://") {
			c.add(path, "write it like registry.example/team/hello, with no scheme and no spaces", "%q is not an image name", ref)
		}
	}
	if name := f.Deploy.ServiceAccountName; name != "" && !isDNSSubdomain(name) {
		c.add("deploy.serviceAccountName", "", "%q is not the name of a service account", name)
	}
	if name := f.Deploy.ImagePullSecret; name != "" && !isDNSSubdomain(name) {
		c.add("deploy.imagePullSecret", "", "%q is not the name of a secret", name)
	}
}

func (c *checker) oneOf(path, value string, allowed ...string) {
	if value == "" || slices.Contains(allowed, value) {
		return
	}
	hint := "use " + strings.Join(allowed, " or ")
	if near := fault.Nearest(value, allowed); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	c.add(path, hint, "%q is not known", value)
}

// envs checks variables; those of a build can only be literal or local.
func (c *checker) envs(list string, envs []Env, fromCluster bool) {
	first := map[string]int{}
	for i, e := range envs {
		item := fmt.Sprintf("%s[%d]", list, i)
		whole := e.Value.Origin == AllOfSecret || e.Value.Origin == AllOfConfigMap
		switch {
		case !c.has(item + ".value"):
			c.add(item, "an empty value is written \"\"", "value is missing")
		case !fromCluster && e.Value.Origin != Literal && e.Value.Origin != LocalEnv:
			c.add(item+".value", "use plain text or {{ env:NAME }}", "a build cannot read %s", e.Value)
		case e.Name == "" && !whole:
			c.add(item, "only {{ secret:NAME }} and {{ configMap:NAME }} go without", "name is missing")
		case e.Name != "" && whole:
			c.add(item+".value", "add :KEY for one key, or remove the name for all of them", "%s is a whole set of keys, and %s is one variable", e.Value, e.Name)
		}
		if e.Name == "" {
			continue
		}
		if !isEnvName(e.Name) {
			c.add(item+".name", "use letters, digits, '_', '-' and '.', and no digit first", "%q is not the name of an environment variable", e.Name)
		}
		// Knative Serving's webhook refuses these (pkg/apis/serving/k8s_validation.go).
		if fromCluster && slices.Contains([]string{"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"}, e.Name) {
			c.add(item+".name", "choose another name", "Knative sets %s itself", e.Name)
		}
		if before, found := first[e.Name]; found {
			c.add(item+".name", fmt.Sprintf("the first is %s[%d]", list, before), "%s is there twice", e.Name)
			continue
		}
		first[e.Name] = i
	}
}

func (c *checker) volumes(volumes []Volume) {
	paths := map[string]int{}
	for i, v := range volumes {
		item := "run.volumes[" + strconv.Itoa(i) + "]"
		kinds := 0
		for _, there := range []bool{v.Secret != nil, v.ConfigMap != nil, v.PersistentVolumeClaim != nil, v.EmptyDir != nil} {
			if there {
				kinds++
			}
		}
		if kinds != 1 {
			c.add(item, "", "has %d of secret, configMap, persistentVolumeClaim and emptyDir, and needs exactly one", kinds)
		}
		if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == "" {
			c.add(item+".persistentVolumeClaim", "", "claimName is missing")
		}
		if v.EmptyDir != nil {
			c.oneOf(item+".emptyDir.medium", v.EmptyDir.Medium, "Memory")
			c.quantity(item+".emptyDir.sizeLimit", v.EmptyDir.SizeLimit)
		}
		switch {
		case v.Path == "":
			c.add(item, "", "path is missing: where to mount it")
			continue
		case !strings.HasPrefix(v.Path, "/"):
			c.add(item+".path", "begin it with a slash", "%q is not an absolute path", v.Path)
		}
		if before, found := paths[path.Clean(v.Path)]; found {
			c.add(item+".path", "", "%s is taken by run.volumes[%d]", v.Path, before)
			continue
		}
		paths[path.Clean(v.Path)] = i
	}
}

func (c *checker) labels(deploy Deploy) {
	for i, l := range deploy.Labels {
		item := "deploy.labels[" + strconv.Itoa(i) + "]"
		if !isQualifiedName(l.Key) {
			c.add(item+".key", "letters, digits, '-', '_' and '.', at most 63, after an optional DOMAIN/", "%q is not the key of a label", l.Key)
		}
		switch {
		case l.Value.Origin != Literal && l.Value.Origin != LocalEnv:
			c.add(item+".value", "use plain text or {{ env:NAME }}", "a label cannot be %s", l.Value)
		case !isLabelValue(l.Value.Text):
			c.add(item+".value", "letters, digits, '-', '_' and '.', at most 63", "%q is not the value of a label", l.Value.Text)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(deploy.Annotations)) {
		if !isQualifiedName(key) {
			c.add("deploy.annotations."+key, "letters, digits, '-', '_' and '.', at most 63, after an optional DOMAIN/", "%q is not the key of an annotation", key)
		}
	}
}

func (c *checker) scale(s Scale) {
	const at = "deploy.options.scale"
	for _, bound := range []struct {
		key   string
		value *int64
	}{{".min", s.Min}, {".max", s.Max}} {
		if bound.value != nil && (*bound.value < 0 || *bound.value > maxInstances) {
			c.add(at+bound.key, "use a number from 0 up", "%d pods cannot be", *bound.value)
		}
	}
	if s.Min != nil && s.Max != nil && *s.Max > 0 && *s.Min > *s.Max {
		c.add(at+".min", "", "is %d, above max, which is %d", *s.Min, *s.Max)
	}
	c.oneOf(at+".metric", s.Metric, "concurrency", "rps")
	if s.Target != nil && !(*s.Target >= 0.01 && *s.Target <= math.MaxInt32) {
		c.add(at+".target", "", "is %v, and has to be at least 0.01", *s.Target)
	}
	if s.Utilization != nil && !(*s.Utilization >= 1 && *s.Utilization <= 100) {
		c.add(at+".utilization", "", "is %v, and has to be a percentage from 1 to 100", *s.Utilization)
	}
}

func (c *checker) resources(r Resources) {
	const at = "deploy.options.resources"
	c.quantity(at+".requests.cpu", r.Requests.CPU)
	c.quantity(at+".requests.memory", r.Requests.Memory)
	c.quantity(at+".limits.cpu", r.Limits.CPU)
	c.quantity(at+".limits.memory", r.Limits.Memory)
	if n := r.Limits.Concurrency; n != nil && *n < 0 {
		c.add(at+".limits.concurrency", "0 means no bound", "%d requests at a time cannot be", *n)
	}
}

func (c *checker) quantity(path, value string) {
	if value != "" && !isQuantity(value) {
		c.add(path, "write it like 500m, 1.5 or 128Mi", "%q is not a quantity", value)
	}
}

func (c *checker) endpoint(path, value string) {
	if value != "" && !strings.HasPrefix(value, "/") {
		c.add(path, "begin it with a slash", "%q is not a path", value)
	}
}
