// Package function reads func.yaml, the project file that kn-lite shares with
// knative/func: a project made by either tool builds and deploys with the
// other. It names every mistake with file, line and column, and it edits in
// place: only the bytes of a changed value change.
//
// The keys are those of func's published schema
// (github.com/knative/func, schema/func_yaml-schema.json).
package function

import "time"

// File is the name of the project file.
const File = "func.yaml"

// SpecVersion is the newest version of the schema that kn-lite writes.
const SpecVersion = "0.36.0"

// Function is a func.yaml, whatever its specVersion was: settings from an older
// or newer layout stand where 0.36.0 has them.
type Function struct {
	// Root is the folder that holds the file, as given to Load.
	Root string `yaml:"-"`
	// Warnings are oddities that do not stop a deploy, in file order.
	Warnings []Problem `yaml:"-"`

	SpecVersion      string    `yaml:"specVersion"`
	Name             string    `yaml:"name"`
	Domain           string    `yaml:"domain"`
	Runtime          string    `yaml:"runtime"` // go, node, python, …
	Registry         string    `yaml:"registry"`
	RegistryInsecure bool      `yaml:"registryInsecure"`
	Image            string    `yaml:"image"` // full reference; "" means Registry/Name
	ImageDigest      string    `yaml:"imageDigest"`
	Namespace        string    `yaml:"namespace"` // where the user wants it deployed
	Created          time.Time `yaml:"created"`
	Invoke           string    `yaml:"invoke"` // "", http or cloudevent
	Deployer         string    `yaml:"deployer"`
	Build            Build     `yaml:"build"`
	Run              Run       `yaml:"run"`
	Deploy           Deploy    `yaml:"deploy"`

	doc *document
}

// Build is how the image is made.
type Build struct {
	Git                Git               `yaml:"git"`
	Source             Source            `yaml:"source"` // what git became in 0.37.0; read it from Git
	Builder            string            `yaml:"builder"`
	BuilderImages      map[string]string `yaml:"builderImages"`
	BaseImage          string            `yaml:"baseImage"`
	Buildpacks         []string          `yaml:"buildpacks"`
	BuildEnvs          []Env             `yaml:"buildEnvs"` // literal or from the local environment
	PVCSize            string            `yaml:"pvcSize"`
	RemoteStorageClass string            `yaml:"remoteStorageClass"`
	Volumes            []BuildVolume     `yaml:"volumes"`
}

// Git is where a remote build takes its source from.
type Git struct {
	URL        string `yaml:"url"`
	Revision   string `yaml:"revision"`
	ContextDir string `yaml:"contextDir"`
}

// Source is Git in the layout of 0.37.0.
type Source struct {
	URL      string `yaml:"url"`
	Revision string `yaml:"revision"`
	Dir      string `yaml:"dir"`
}

// BuildVolume is a host folder that is mounted during a build.
type BuildVolume struct {
	HostPath string `yaml:"hostPath"`
	Path     string `yaml:"path"`
}

// Run is what the container finds when it runs.
type Run struct {
	Volumes            []Volume           `yaml:"volumes"`
	Envs               []Env              `yaml:"envs"`
	PodSecurityContext PodSecurityContext `yaml:"podSecurityContext"`
	StartTimeout       string             `yaml:"startTimeout"` // a Go duration, or nanoseconds
	Kafka              Kafka              `yaml:"kafka"`
}

// PodSecurityContext has the schema's own spelling of the keys.
type PodSecurityContext struct {
	RunAsUser    *int64 `yaml:"RunAsUser"`
	RunAsGroup   *int64 `yaml:"RunAsGroup"`
	RunAsNonRoot *bool  `yaml:"RunAsNonRoot"`
	FSGroup      *int64 `yaml:"FSGroup"`
}

// Kafka is where a function of the kafka kind listens.
type Kafka struct {
	Brokers       string `yaml:"brokers"`
	Topic         string `yaml:"topic"`
	ConsumerGroup string `yaml:"consumerGroup"`
}

// Env is one environment variable, or, with no name, every key of a secret or
// config map.
type Env struct {
	Name  string   `yaml:"name"`
	Value EnvValue `yaml:"value"`
}

// Volume mounts exactly one of a secret, a config map, a claim or an empty
// folder at Path.
type Volume struct {
	Secret                *string                `yaml:"secret"`
	ConfigMap             *string                `yaml:"configMap"`
	PersistentVolumeClaim *PersistentVolumeClaim `yaml:"persistentVolumeClaim"`
	Presistent            *PersistentVolumeClaim `yaml:"presistentVolumeClaim"` // sic, before 0.36.0; read the one above
	EmptyDir              *EmptyDir              `yaml:"emptyDir"`
	Path                  string                 `yaml:"path"`
}

// PersistentVolumeClaim names a claim in the function's namespace.
type PersistentVolumeClaim struct {
	ClaimName string `yaml:"claimName"`
	ReadOnly  bool   `yaml:"readOnly"`
}

// EmptyDir is scratch space that lives as long as the pod.
type EmptyDir struct {
	Medium    string `yaml:"medium"`    // "" or Memory
	SizeLimit string `yaml:"sizeLimit"` // a Kubernetes quantity, or ""
}

// Deploy is what the cluster is asked for.
type Deploy struct {
	Namespace          string            `yaml:"namespace"` // where func last deployed it
	Image              string            `yaml:"image"`     // what func last deployed, with digest
	Annotations        map[string]string `yaml:"annotations"`
	Options            Options           `yaml:"options"`
	Labels             []Label           `yaml:"labels"`
	HealthEndpoints    HealthEndpoints   `yaml:"healthEndpoints"`
	ServiceAccountName string            `yaml:"serviceAccountName"`
	ImagePullSecret    string            `yaml:"imagePullSecret"`
	Deployer           string            `yaml:"deployer"`
	Expose             string            `yaml:"expose"`
	Remote             bool              `yaml:"remote"`
	Subscriptions      []Subscription    `yaml:"subscriptions"`
	ManagementDisabled bool              `yaml:"managementDisabled"`
}

// Label is one label of the service; its value is literal or from the local
// environment.
type Label struct {
	Key   string   `yaml:"key"`
	Value EnvValue `yaml:"value"`
}

// HealthEndpoints are the paths that the probes ask.
type HealthEndpoints struct {
	Liveness  string `yaml:"liveness"`
	Readiness string `yaml:"readiness"`
}

// Subscription asks a broker (Source) for the events that match Filters.
type Subscription struct {
	Source  string            `yaml:"source"`
	Filters map[string]string `yaml:"filters"`
}

// Options are scaling and resources. nil and "" mean: the cluster's default.
type Options struct {
	Scale     Scale     `yaml:"scale"`
	Resources Resources `yaml:"resources"`
}

// Scale bounds the number of pods and says what a pod is meant to bear.
type Scale struct {
	Min         *int64   `yaml:"min"`
	Max         *int64   `yaml:"max"`         // 0: no bound
	Metric      string   `yaml:"metric"`      // "", concurrency or rps
	Target      *float64 `yaml:"target"`      // at least 0.01
	Utilization *float64 `yaml:"utilization"` // percent, 1 to 100
}

// Resources are Kubernetes quantities, verbatim.
type Resources struct {
	Requests ResourceRequests `yaml:"requests"`
	Limits   ResourceLimits   `yaml:"limits"`
}

// ResourceRequests is what the scheduler sets aside for a pod.
type ResourceRequests struct {
	CPU    string `yaml:"cpu"`
	Memory string `yaml:"memory"`
}

// ResourceLimits is what a pod may use at most.
type ResourceLimits struct {
	CPU         string `yaml:"cpu"`
	Memory      string `yaml:"memory"`
	Concurrency *int64 `yaml:"concurrency"` // requests at a time in one container; 0: no bound
}
