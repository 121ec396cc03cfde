package deploy

import (
	"context"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/config"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
)

// Annotations and labels.
const (
	// UserImageKey is kn's annotation for the image as the user calls it, since
	// the template itself has it by digest.
	UserImageKey = "client.knative.dev/user-image"

	managedByKey = "app.kubernetes.io/managed-by"
	autoscaling  = "autoscaling.knative.dev/"
	serving      = "serving.knative.dev/"
)

// Desired is the service that spec asks for, made from the live one (nil: there
// is none). Everything that spec does not speak of stays as it is, also what
// other tools have set. Name and traffic of the revision are not decided here.
func Desired(live *servingv1.Service, spec Spec) (*servingv1.Service, error) {
	svc, err := assemble(live, spec)
	if err != nil {
		return nil, err
	}
	return svc, validate(svc)
}

func assemble(live *servingv1.Service, spec Spec) (*servingv1.Service, error) {
	svc := &servingv1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "serving.knative.dev/v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: spec.Service, Labels: map[string]string{managedByKey: "kn-lite"}},
	}
	if live != nil {
		svc = live.DeepCopy()
	}
	e := &editor{svc: svc, template: &svc.Spec.Template}
	e.container = e.findContainer()
	if spec.Project != nil {
		if err := e.project(spec.Project); err != nil {
			return nil, err
		}
	}
	if spec.Image != "" && e.container.Image != spec.Image {
		e.container.Image = spec.Image
		e.userImage(live, spec.UserImage)
	}
	e.scale(spec.Scale)
	if spec.ConcurrencyLimit != nil {
		e.template.Spec.ContainerConcurrency = spec.ConcurrencyLimit
	}
	if spec.Port != 0 {
		e.port(spec.Port)
	}
	if err := e.knobs(spec.Knobs); err != nil {
		return nil, err
	}
	for _, edit := range spec.Env {
		if edit.Remove {
			e.unset(edit.Name)
			continue
		}
		e.set(corev1.EnvVar{Name: edit.Name, Value: edit.Value})
	}
	return svc, nil
}

// validate applies Knative's own rules before anything is sent. The object
// that is checked has the defaults filled in as the webhook would do it. What
// depends on how a cluster is set up is left for the cluster to decide.
func validate(svc *servingv1.Service) error {
	checked := svc.DeepCopy()
	ctx := config.ToContext(context.Background(), permissive())
	checked.SetDefaults(ctx)
	// Warnings are for the webhook to give.
	if err := checked.Validate(ctx).Filter(apis.ErrorLevel); err != nil {
		return fault.New(fault.Usage, "deploy.validate", "service/"+svc.Name, "%w", err).
			WithHint("these are Knative's own rules for a service; nothing was sent to the cluster")
	}
	return nil
}

// permissive is a cluster that allows every optional field of a pod and the
// longest timeouts.
func permissive() *config.Config {
	// Empty maps are the defaults, which are valid.
	features, _ := config.NewFeaturesConfigFromMap(nil)
	defaults, _ := config.NewDefaultsConfigFromMap(nil)
	flags := reflect.ValueOf(features).Elem()
	for i := range flags.NumField() {
		// This one does not allow a field, it fills some in.
		if name := flags.Type().Field(i).Name; name != "SecurePodDefaults" {
			flags.Field(i).SetString(string(config.Enabled))
		}
	}
	defaults.MaxRevisionTimeoutSeconds = math.MaxInt32
	defaults.ContainerConcurrencyMaxLimit = math.MaxInt32
	return &config.Config{Features: features, Defaults: defaults}
}

// editor changes one service in place.
type editor struct {
	svc       *servingv1.Service
	template  *servingv1.RevisionTemplateSpec
	container *corev1.Container
}

// findContainer returns the container that gets the requests; one is added to an
// empty template.
func (e *editor) findContainer() *corev1.Container {
	all := &e.template.Spec.Containers
	if len(*all) == 0 {
		*all = append(*all, corev1.Container{})
	}
	return knative.UserContainer(*all)
}

func (e *editor) annotate(key, value string) {
	if value == "" {
		delete(e.template.Annotations, key)
		return
	}
	if e.template.Annotations == nil {
		e.template.Annotations = make(map[string]string)
	}
	e.template.Annotations[key] = value
}

// userImage notes what the user calls the image where such a note is there
// already, and on services of our own. On one that others make, theirs would
// go on naming this image after they have set another.
func (e *editor) userImage(live *servingv1.Service, name string) {
	if live == nil || live.Labels[managedByKey] == "kn-lite" || e.template.Annotations[UserImageKey] != "" {
		e.annotate(UserImageKey, name)
	}
}

// set keeps the place of a variable that is there: Kubernetes expands $(NAME)
// in order, so order means something.
func (e *editor) set(v corev1.EnvVar) {
	for i := range e.container.Env {
		if e.container.Env[i].Name == v.Name {
			e.container.Env[i] = v
			return
		}
	}
	e.container.Env = append(e.container.Env, v)
}

func (e *editor) unset(name string) {
	e.container.Env = slices.DeleteFunc(e.container.Env, func(v corev1.EnvVar) bool { return v.Name == name })
	if len(e.container.Env) == 0 {
		e.container.Env = nil
	}
}

// scaleAnnotations are the annotations that a Scale means.
func scaleAnnotations(s Scale) map[string]string {
	out := make(map[string]string)
	if s.Min != nil {
		out[autoscaling+"min-scale"] = strconv.FormatInt(*s.Min, 10)
	}
	if s.Max != nil {
		out[autoscaling+"max-scale"] = strconv.FormatInt(*s.Max, 10)
	}
	if s.Metric != "" {
		out[autoscaling+"metric"] = s.Metric
	}
	if s.Target != nil {
		out[autoscaling+"target"] = strconv.FormatFloat(*s.Target, 'f', -1, 64)
	}
	if s.Utilization != nil {
		out[autoscaling+"target-utilization-percentage"] = strconv.FormatFloat(*s.Utilization, 'f', -1, 64)
	}
	if s.Window != 0 {
		out[autoscaling+"window"] = s.Window.String()
	}
	return out
}

func (e *editor) scale(s Scale) {
	for key, value := range scaleAnnotations(s) {
		e.annotate(key, value)
	}
}

// port keeps the protocol name (http1, h2c) of the port that is there.
func (e *editor) port(number int32) {
	if len(e.container.Ports) == 0 {
		e.container.Ports = []corev1.ContainerPort{{}}
	}
	before := e.container.Ports[0].ContainerPort
	if before == 0 {
		before = servingv1.DefaultUserPort
	}
	e.container.Ports[0].ContainerPort = number
	if p := e.container.StartupProbe; p != nil && p.HTTPGet != nil && p.HTTPGet.Port == intstr.FromInt32(before) {
		p.HTTPGet.Port = intstr.FromInt32(number)
	}
}

func (e *editor) resources(kind string, into *corev1.ResourceList, wanted map[string]string) error {
	for name, text := range wanted {
		quantity, err := resource.ParseQuantity(text)
		if err != nil {
			return fault.New(fault.Usage, "deploy.desired", kind+" "+name, "%q is not a quantity: %w", text, err).
				WithHint("write it as Kubernetes does, e.g. 250m, 2, 128Mi or 1Gi")
		}
		if *into == nil {
			*into = corev1.ResourceList{}
		}
		// The same amount written differently is no change.
		if old, ok := (*into)[corev1.ResourceName(name)]; !ok || old.Cmp(quantity) != 0 {
			(*into)[corev1.ResourceName(name)] = quantity
		}
	}
	return nil
}

// probe sets the path of an HTTP probe and leaves its other settings alone.
// Port 0 is Knative's word for the container's own port.
func probe(old *corev1.Probe, path string) *corev1.Probe {
	p := &corev1.Probe{}
	if old != nil {
		p = old.DeepCopy()
	}
	if p.HTTPGet == nil {
		p.ProbeHandler = corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(0)}}
	}
	p.HTTPGet.Path = path
	return p
}

// envVar is the API's form of a variable that has a name.
func envVar(v Var) corev1.EnvVar {
	switch v.From {
	case SecretKey:
		return corev1.EnvVar{Name: v.Name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: v.Object}, Key: v.Key,
		}}}
	case ConfigMapKey:
		return corev1.EnvVar{Name: v.Name, ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: v.Object}, Key: v.Key,
		}}}
	}
	return corev1.EnvVar{Name: v.Name, Value: v.Value}
}

// onServiceOnly and onRevisionsOnly report where Knative reads an annotation.
func onServiceOnly(key string) bool {
	return strings.HasPrefix(key, serving) && !onRevisionsOnly(key)
}

func onRevisionsOnly(key string) bool {
	switch key {
	case serving + "progress-deadline", serving + "no-gc":
		return true
	}
	return strings.HasPrefix(key, autoscaling) || strings.HasPrefix(key, "queue.sidecar."+serving) || strings.HasPrefix(key, "features.knative.dev/")
}
