package control

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

func TestProbePorts(t *testing.T) {
	http := func(port int) *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/up", Port: intstr.FromInt(port)}}}
	}
	for _, test := range []struct {
		name  string
		probe *corev1.Probe
		want  string
	}{
		{"none", nil, "tcp 9000"},
		{"settings only", &corev1.Probe{PeriodSeconds: 3}, "tcp 9000"},
		{"http", http(0), "http 9000"},
		{"http elsewhere", http(81), "http 81"},
		{"tcp", &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{}}}, "tcp 9000"},
		{"grpc", &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{}}}, "grpc 9000"},
		{"exec", &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"x"}}}}, "exec"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rev := testRevision("r", 1, corev1.ConditionUnknown)
			rev.Spec.Containers = []corev1.Container{{
				Name: "user-container", Ports: []corev1.ContainerPort{{ContainerPort: 9000}}, ReadinessProbe: test.probe, LivenessProbe: http(0),
			}}
			spec := podSpec(rev)
			var got string
			switch probe := spec.Containers[0].ReadinessProbe; {
			case probe.HTTPGet != nil:
				got = fmt.Sprint("http ", probe.HTTPGet.Port.IntValue())
			case probe.TCPSocket != nil:
				got = fmt.Sprint("tcp ", probe.TCPSocket.Port.IntValue())
			case probe.GRPC != nil:
				got = fmt.Sprint("grpc ", probe.GRPC.Port)
			case probe.Exec != nil:
				got = "exec"
			}
			if got != test.want {
				t.Errorf("the probe is %s", got)
			}
			if port := spec.Containers[0].LivenessProbe.HTTPGet.Port.IntValue(); port != 9000 {
				t.Errorf("the liveness probe asks port %d", port)
			}
			if rev.Spec.Containers[0].LivenessProbe.HTTPGet.Port.IntValue() != 0 {
				t.Error("the revision itself was changed")
			}
		})
	}
}

func TestContainersBesideTheServingOne(t *testing.T) {
	rev := testRevision("r", 1, corev1.ConditionUnknown)
	rev.Labels[serving.ServiceLabelKey] = "s"
	rev.Spec.InitContainers = []corev1.Container{{Name: "init", Image: "i"}}
	rev.Spec.Containers = []corev1.Container{
		{Name: "side", Image: "a"},
		{Name: "main", Image: "b", Ports: []corev1.ContainerPort{{ContainerPort: 8888}}},
	}
	rev.Status.InitContainerStatuses = []servingv1.ContainerStatus{{Name: "init", ImageDigest: "i@sha256:1"}}
	rev.Status.ContainerStatuses = []servingv1.ContainerStatus{{Name: "side", ImageDigest: "a@sha256:2"}, {Name: "main"}}
	spec := podSpec(rev)
	env := func(c corev1.Container) (out string) {
		for _, e := range c.Env {
			out += e.Name + "=" + e.Value + " "
		}
		return out
	}
	side, serves := spec.Containers[0], spec.Containers[1]
	if got := env(side); strings.Contains(got, "PORT") || !strings.Contains(got, "K_SERVICE=s") {
		t.Errorf("the sidecar has %s", got)
	}
	if got := env(serves); !strings.Contains(got, "PORT=8888") || !strings.Contains(got, "K_REVISION=r") || !strings.Contains(got, "K_CONFIGURATION=c") {
		t.Errorf("the serving container has %s", got)
	}
	if side.ReadinessProbe != nil || serves.ReadinessProbe == nil || serves.Ports[0].Name != "user-port" {
		t.Errorf("%+v %+v", side, serves)
	}
	if spec.InitContainers[0].Image != "i@sha256:1" || side.Image != "a@sha256:2" || serves.Image != "b" {
		t.Errorf("the images are %s, %s, %s", spec.InitContainers[0].Image, side.Image, serves.Image)
	}
	if side.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError {
		t.Errorf("the termination message comes from %s", side.TerminationMessagePolicy)
	}
}

func TestDeploymentOfARevision(t *testing.T) {
	rev := testRevision("r", 1, corev1.ConditionUnknown)
	rev.UID = "u"
	rev.Labels["app"] = "mine"
	rev.SetRoutingState(servingv1.RoutingStateActive, noon)
	rev.Annotations["autoscaling.knative.dev/min-scale"] = "2"
	rev.Annotations["note"] = "n"
	rev.Annotations[serving.RoutesAnnotationKey] = "s"
	rev.Annotations[serving.ProgressDeadlineAnnotationKey] = "90s"
	rev.Spec.Containers = []corev1.Container{{Name: "user-container"}}
	d := desiredDeployment(rev, 1)
	if d.Name != "r-deployment" || d.Labels["app"] != "mine" || d.Labels[serving.RevisionUID] != "u" || d.Labels[serving.RoutingStateLabelKey] != "" {
		t.Errorf("%s %v", d.Name, d.Labels)
	}
	if len(d.Annotations) != 2 || d.Annotations["note"] != "n" {
		t.Errorf("the annotations are %v", d.Annotations)
	}
	if *d.Spec.ProgressDeadlineSeconds != 90 || !metav1.IsControlledBy(d, rev) {
		t.Errorf("%+v", d.Spec)
	}
	if got := d.Spec.Template.Annotations["kubectl.kubernetes.io/default-container"]; got != "user-container" {
		t.Errorf("kubectl logs takes %q", got)
	}
	pa := desiredAutoscaler(rev, d)
	if pa.Annotations["autoscaling.knative.dev/min-scale"] != "2" || pa.Annotations["autoscaling.knative.dev/class"] != "kpa.autoscaling.knative.dev" ||
		pa.Annotations["autoscaling.knative.dev/metric"] != "concurrency" || pa.Annotations[serving.RoutesAnnotationKey] != "" {
		t.Errorf("the autoscaler has %v", pa.Annotations)
	}
	if pa.Spec.Reachability != "Reachable" || pa.Spec.ScaleTargetRef.Name != d.Name || pa.Spec.ProtocolType != "http1" {
		t.Errorf("%+v", pa.Spec)
	}
}

func TestReachability(t *testing.T) {
	for _, test := range []struct {
		state    servingv1.RoutingState
		ready    corev1.ConditionStatus
		replicas int32
		want     string
	}{
		{servingv1.RoutingStateActive, corev1.ConditionTrue, 1, "Reachable"},
		{servingv1.RoutingStateReserve, corev1.ConditionTrue, 1, "Unreachable"},
		{servingv1.RoutingStatePending, corev1.ConditionTrue, 1, ""},
		{servingv1.RoutingStateActive, corev1.ConditionFalse, 1, "Unreachable"},
		{servingv1.RoutingStateActive, corev1.ConditionFalse, 0, "Reachable"},
	} {
		rev := testRevision("r", 1, test.ready)
		rev.SetRoutingState(test.state, noon)
		if got := string(reachability(rev, testDeployment(test.replicas))); got != test.want {
			t.Errorf("%+v is %q", test, got)
		}
	}
}

func TestPullPolicy(t *testing.T) {
	for image, want := range map[string]corev1.PullPolicy{
		"a": corev1.PullAlways, "a:latest": corev1.PullAlways, "localhost:5000/a": corev1.PullAlways,
		"a:1": corev1.PullIfNotPresent, "localhost:5000/a:1": corev1.PullIfNotPresent, "a@sha256:1": corev1.PullIfNotPresent,
	} {
		if got := pullPolicy(image); got != want {
			t.Errorf("%s is pulled %s", image, got)
		}
	}
}

func TestPodNamesStayWhole(t *testing.T) {
	d := testDeployment(1)
	d.Name = strings.Repeat("r", 60)
	pod := newPod(d, "abc", &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, "here", noon)
	if name := pod.GenerateName; len(name) > 58 || !strings.HasSuffix(name, "-abc-") {
		t.Errorf("%s has %d characters", name, len(name))
	}
}
