package deploy

import (
	"fmt"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Spec is what the user wants to be live. Unset fields (zero values, nil
// pointers) leave the service as it is.
type Spec struct {
	Service   string
	Image     string // by digest, so that what was tested is what runs
	UserImage string // what the user calls it; shown by kn and kn-lite
	Revision  string // "": the next NAME-vN
	Project   *Project

	// From the command line; these rank above Project.
	Env              []EnvEdit
	Scale            Scale
	ConcurrencyLimit *int64 // requests at a time in one container; 0: no bound
	Port             int32  // that the container listens on
	Knobs            Knobs

	Traffic traffic.Shift
	Tag     string // gives the revision a URL of its own
	Aside   bool   // a preview: the next deploy starts from the settings before it
}

// Scale bounds the pods of a revision. nil and zero values: not said.
type Scale struct {
	Min, Max    *int64
	Metric      string // concurrency or rps
	Target      *float64
	Utilization *float64 // percent
	Window      time.Duration
}

// Project is what func.yaml says. Unlike flags it is the whole truth about
// what it covers: an entry that an earlier deploy took from it and that is no
// longer there is removed from the service.
type Project struct {
	Name            string // of the function; with Runtime it becomes func's labels
	Runtime         string
	Env             []Var
	Volumes         []Volume
	Annotations     map[string]string // on the service and its revisions
	Labels          map[string]string // likewise
	Scale           Scale
	Concurrency     *int64
	Requests        map[string]string // resource name → Kubernetes quantity
	Limits          map[string]string
	Liveness        string // paths; "": Knative's own TCP probe
	Readiness       string
	StartBudget     time.Duration // how long a start may take before the liveness probe counts; 0: five minutes
	RunAs           RunAs
	Domain          string // that Knative's config-domain may choose for it
	ClusterLocal    bool   // reachable inside its cluster only
	ServiceAccount  string
	ImagePullSecret string
}

// RunAs is whom the container's program runs as. nil: as the image says.
type RunAs struct {
	User, Group *int64
	NonRoot     *bool
}

// Source says where the value of a variable comes from.
type Source int

// The sources of a variable.
const (
	Literal        Source = iota
	SecretKey             // one key of the secret Object
	ConfigMapKey          // one key of the config map Object
	AllOfSecret           // every key of the secret Object; Name is empty
	AllOfConfigMap        // every key of the config map Object; Name is empty
)

// Var is one environment variable.
type Var struct {
	Name   string
	Value  string // Literal
	From   Source
	Object string
	Key    string
}

// Volume mounts one of a secret, a config map, a claim or an empty folder.
type Volume struct {
	Path              string
	Secret, ConfigMap string
	Claim             string
	ReadOnly          bool
	EmptyDir          bool
	Medium, SizeLimit string
}

// EnvEdit sets or removes one variable, or another entry that has a name.
type EnvEdit struct {
	Name   string
	Value  string
	Remove bool
}

// ParseEnv reads edits of variables: K=V sets, K- removes. The later of
// two edits of one variable wins.
func ParseEnv(args []string) ([]EnvEdit, error) {
	var out []EnvEdit
	for _, arg := range args {
		name, value, sets := strings.Cut(arg, "=")
		edit := EnvEdit{Name: name, Value: value}
		if !sets {
			var removes bool
			if edit.Name, removes = strings.CutSuffix(arg, "-"); !removes {
				return nil, fault.New(fault.Usage, "deploy.variable", "variable "+arg, "neither NAME=VALUE nor NAME-").
					WithHint("NAME=VALUE sets a variable, NAME- removes it")
			}
			edit.Remove = true
		}
		if err := checkEnvName(edit.Name); err != nil {
			return nil, fault.New(fault.Usage, "deploy.variable", "variable "+arg, "%w", err)
		}
		out = append(out, edit)
	}
	return out, nil
}

// checkEnvName is Kubernetes' own rule for variables.
func checkEnvName(name string) error {
	if name == "" {
		return fmt.Errorf("the name is empty")
	}
	for i, r := range name {
		letter := r == '_' || r == '-' || r == '.' || ('a' <= r && r <= 'z') || ('A' <= r && r <= 'Z')
		if !letter && (i == 0 || r < '0' || r > '9') {
			return fmt.Errorf("%q is not a variable's name: use letters, digits, '_', '-' and '.', not starting with a digit", name)
		}
	}
	return nil
}
