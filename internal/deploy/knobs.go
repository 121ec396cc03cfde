package deploy

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Knobs are wishes from the command line that func.yaml can say as well. Unset
// fields leave the service as it is.
type Knobs struct {
	Labels, Annotations []EnvEdit // of the service and its revisions
	Requests, Limits    []EnvEdit // resource name → Kubernetes quantity
	ServiceAccount      string
	RequestTimeout      time.Duration // in which a request has to be answered
	ClusterLocal        *bool         // reachable inside its cluster only
	Autoscaler          Autoscaler
}

// Autoscaler is what a Scale does not say.
type Autoscaler struct {
	Initial, Activation         *int64 // pods at the start, and at least when there are any
	DownDelay, Retention        *time.Duration
	PanicWindow, PanicThreshold *float64 // percent
}

func (a Autoscaler) annotations() map[string]string {
	out := make(map[string]string)
	for key, value := range map[string]*int64{"initial-scale": a.Initial, "activation-scale": a.Activation} {
		if value != nil {
			out[autoscaling+key] = strconv.FormatInt(*value, 10)
		}
	}
	for key, value := range map[string]*time.Duration{"scale-down-delay": a.DownDelay, "scale-to-zero-pod-retention-period": a.Retention} {
		if value != nil {
			out[autoscaling+key] = value.String()
		}
	}
	for key, value := range map[string]*float64{"panic-window-percentage": a.PanicWindow, "panic-threshold-percentage": a.PanicThreshold} {
		if value != nil {
			out[autoscaling+key] = strconv.FormatFloat(*value, 'f', -1, 64)
		}
	}
	return out
}

// knobs applies what the command line says beside the image, variables and Scale.
func (e *editor) knobs(k Knobs) error {
	for _, edit := range k.Labels {
		e.label(edit)
	}
	for _, edit := range k.Annotations {
		e.annotation(edit)
	}
	for key, value := range k.Autoscaler.annotations() {
		e.annotate(key, value)
	}
	if k.ServiceAccount != "" {
		e.template.Spec.ServiceAccountName = k.ServiceAccount
	}
	if k.RequestTimeout != 0 {
		e.requestTimeout(k.RequestTimeout)
	}
	if k.ClusterLocal != nil {
		e.label(EnvEdit{Name: visibilityLabel, Value: clusterLocal, Remove: !*k.ClusterLocal})
	}
	requests, limits := &e.container.Resources.Requests, &e.container.Resources.Limits
	for _, edit := range k.Requests {
		if err := e.resource("request", requests, edit); err != nil {
			return err
		}
	}
	for _, edit := range k.Limits {
		if err := e.resource("limit", limits, edit); err != nil {
			return err
		}
	}
	if len(k.Requests)+len(k.Limits) == 0 {
		return nil
	}
	for name, request := range *requests {
		if limit, bounded := (*limits)[name]; bounded && request.Cmp(limit) > 0 {
			return fault.New(fault.Usage, "deploy.desired", "request "+string(name), "%s is more than the limit of %s", &request, &limit)
		}
	}
	return nil
}

func (e *editor) label(edit EnvEdit) {
	if edit.Remove {
		delete(e.svc.Labels, edit.Name)
		delete(e.template.Labels, edit.Name)
		return
	}
	e.svc.Labels = put(e.svc.Labels, edit.Name, edit.Value)
	if edit.Name != visibilityLabel { // of the route, and of no revision
		e.template.Labels = put(e.template.Labels, edit.Name, edit.Value)
	}
}

// annotation sets or removes one where Knative reads it.
func (e *editor) annotation(edit EnvEdit) {
	if edit.Remove {
		delete(e.svc.Annotations, edit.Name)
		delete(e.template.Annotations, edit.Name)
		return
	}
	if !onRevisionsOnly(edit.Name) {
		e.svc.Annotations = put(e.svc.Annotations, edit.Name, edit.Value)
	}
	if !onServiceOnly(edit.Name) {
		e.template.Annotations = put(e.template.Annotations, edit.Name, edit.Value)
	}
}

// requestTimeout sets the timeout, and lowers those that may not be longer.
func (e *editor) requestTimeout(timeout time.Duration) {
	seconds := int64(timeout / time.Second)
	spec := &e.template.Spec
	spec.TimeoutSeconds = &seconds
	for _, within := range []**int64{&spec.ResponseStartTimeoutSeconds, &spec.IdleTimeoutSeconds} {
		if *within != nil && **within > seconds {
			*within = &seconds
		}
	}
}

func (e *editor) resource(kind string, into *corev1.ResourceList, edit EnvEdit) error {
	if edit.Remove {
		delete(*into, corev1.ResourceName(edit.Name))
		return nil
	}
	return e.resources(kind, into, map[string]string{edit.Name: edit.Value})
}

// ParseLabels and ParseAnnotations read edits of labels and annotations, KEY=VALUE
// or KEY-.
func ParseLabels(args []string) ([]EnvEdit, error) {
	return parsePairs("label", args, func(edit EnvEdit) []string {
		if edit.Remove {
			return nil
		}
		return validation.IsValidLabelValue(edit.Value)
	})
}

// ParseAnnotations is ParseLabels for annotations.
func ParseAnnotations(args []string) ([]EnvEdit, error) {
	return parsePairs("annotation", args, func(edit EnvEdit) []string {
		if strings.HasPrefix(edit.Name, traffic.Prefix) {
			return []string{traffic.Prefix + " is kn-lite's own"}
		}
		return nil
	})
}

// ParseResources reads requests or limits, NAME=QUANTITY or NAME-; several may stand
// in one argument, with commas between them.
func ParseResources(kind string, args []string) ([]EnvEdit, error) {
	var single []string
	for _, arg := range args {
		single = append(single, strings.Split(arg, ",")...)
	}
	return parsePairs(kind, single, func(edit EnvEdit) []string {
		if edit.Remove {
			return nil
		}
		quantity, err := resource.ParseQuantity(edit.Value)
		switch {
		case err != nil:
			return []string{fmt.Sprintf("%q is not a quantity: write it as Kubernetes does, e.g. 250m, 2, 128Mi or 1Gi", edit.Value)}
		case quantity.Sign() < 0:
			return []string{"it must not be negative"}
		}
		return nil
	})
}

func parsePairs(kind string, args []string, check func(EnvEdit) []string) ([]EnvEdit, error) {
	var out []EnvEdit
	for _, arg := range args {
		edit := EnvEdit{}
		var sets bool
		if edit.Name, edit.Value, sets = strings.Cut(arg, "="); !sets {
			if edit.Name, edit.Remove = strings.CutSuffix(arg, "-"); !edit.Remove {
				return nil, fault.New(fault.Usage, "deploy."+kind, kind+" "+arg, "neither KEY=VALUE nor KEY-").
					WithHint("KEY=VALUE sets a %s, KEY- removes it", kind)
			}
		}
		problems := append(validation.IsQualifiedName(edit.Name), check(edit)...)
		if len(problems) > 0 {
			return nil, fault.New(fault.Usage, "deploy."+kind, kind+" "+arg, "%s", strings.Join(problems, "; "))
		}
		out = append(out, edit)
	}
	return out, nil
}
