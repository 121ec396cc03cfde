package control

import (
	"maps"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"knative.dev/pkg/kmeta"
	"knative.dev/serving/pkg/apis/autoscaling"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// progressDeadline is how long a deployment may make no progress, where its revision
// does not say so itself.
const progressDeadline = 10 * time.Minute

const appLabel = "app"

// revisionOnly returns the annotations and labels of a revision that its dependents do not
// have: they change while the revision does not.
func revisionOnly() []string {
	return []string{
		serving.RevisionLastPinnedAnnotationKey, serving.RevisionPreservedAnnotationKey,
		serving.RoutingStateModifiedAnnotationKey, serving.RoutesAnnotationKey,
	}
}

// withoutAutoscaling returns annotations that concern more than the autoscaler.
func withoutAutoscaling(annotations map[string]string) map[string]string {
	out := without(annotations, revisionOnly()...)
	maps.DeleteFunc(out, func(key, _ string) bool { return strings.HasPrefix(key, autoscaling.GroupName) })
	return out
}

func deploymentName(rev *servingv1.Revision) string { return kmeta.ChildName(rev.Name, "-deployment") }

func ownedBy(rev *servingv1.Revision) []metav1.OwnerReference {
	return []metav1.OwnerReference{*kmeta.NewControllerRef(rev)}
}

// resourceLabels returns the labels of all that is made for a revision.
func resourceLabels(rev *servingv1.Revision) map[string]string {
	labels := union(without(rev.Labels, serving.RouteLabelKey, serving.RoutingStateLabelKey), map[string]string{
		serving.RevisionLabelKey: rev.Name,
		serving.RevisionUID:      string(rev.UID),
	})
	if _, ok := labels[appLabel]; !ok {
		labels[appLabel] = rev.Name
	}
	return labels
}

// desiredDeployment returns the deployment of a revision whose digests are known.
func desiredDeployment(rev *servingv1.Revision, replicas int32) *appsv1.Deployment {
	deadline := progressDeadline
	if _, value, ok := serving.ProgressDeadlineAnnotation.Get(rev.Annotations); ok {
		if d, err := time.ParseDuration(value); err == nil {
			deadline = d
		}
	}
	seconds, history, unavailable := int32(deadline.Seconds()), int32(0), intstr.FromInt32(0)
	podAnnotations := withoutAutoscaling(rev.Annotations)
	if name := rev.Spec.GetContainer().Name; name != "" {
		podAnnotations["kubectl.kubernetes.io/default-container"] = name
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Name: deploymentName(rev), Namespace: rev.Namespace,
			Labels:          resourceLabels(rev),
			Annotations:     withoutAutoscaling(rev.Annotations),
			OwnerReferences: ownedBy(rev),
		},
		Spec: appsv1.DeploymentSpec{
			Replicas:                &replicas,
			Selector:                &metav1.LabelSelector{MatchLabels: map[string]string{serving.RevisionUID: string(rev.UID)}},
			ProgressDeadlineSeconds: &seconds,
			RevisionHistoryLimit:    &history,
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &unavailable},
			},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: resourceLabels(rev), Annotations: podAnnotations},
				Spec:       podSpec(rev),
			},
		},
	}
}

// podSpec returns what the pods of a revision run: the user's containers, which know where
// they belong. What queue-proxy does on a cluster is the router's and the kubelet's.
func podSpec(rev *servingv1.Revision) corev1.PodSpec {
	spec := *rev.Spec.PodSpec.DeepCopy()
	spec.TerminationGracePeriodSeconds = rev.Spec.TimeoutSeconds
	serves := rev.Spec.GetContainer().Name
	for i := range spec.Containers {
		container := &spec.Containers[i]
		if len(spec.Containers) == 1 || len(container.Ports) > 0 && container.Name == serves {
			serveRequests(container, userPort(rev))
		}
		finishContainer(container, rev)
		if i < len(rev.Status.ContainerStatuses) && rev.Status.ContainerStatuses[i].ImageDigest != "" {
			container.Image = rev.Status.ContainerStatuses[i].ImageDigest
		}
	}
	for i := range spec.InitContainers {
		if i < len(rev.Status.InitContainerStatuses) && rev.Status.InitContainerStatuses[i].ImageDigest != "" {
			spec.InitContainers[i].Image = rev.Status.InitContainerStatuses[i].ImageDigest
		}
	}
	return spec
}

// userPort returns where the container of a revision takes requests.
func userPort(rev *servingv1.Revision) int32 {
	if ports := rev.Spec.GetContainer().Ports; len(ports) > 0 && ports[0].ContainerPort != 0 {
		return ports[0].ContainerPort
	}
	return servingv1.DefaultUserPort
}

// serveRequests makes a container the one that requests go to. Its port is called as on a
// cluster: which protocol it speaks, the revision and its autoscaler say.
func serveRequests(container *corev1.Container, port int32) {
	container.Ports = []corev1.ContainerPort{{Name: servingv1.UserPortName, ContainerPort: port, Protocol: corev1.ProtocolTCP}}
	container.Env = append(container.Env, corev1.EnvVar{Name: "PORT", Value: strconv.Itoa(int(port))})
	if container.ReadinessProbe == nil {
		container.ReadinessProbe = &corev1.Probe{SuccessThreshold: 1}
	}
	handler := &container.ReadinessProbe.ProbeHandler
	if *handler == (corev1.ProbeHandler{}) {
		handler.TCPSocket = &corev1.TCPSocketAction{}
	}
	for _, probe := range []*corev1.Probe{container.ReadinessProbe, container.LivenessProbe, container.StartupProbe} {
		if probe != nil {
			setProbePort(probe, port)
		}
	}
}

// setProbePort points a probe that names no port to the one for requests.
func setProbePort(probe *corev1.Probe, port int32) {
	unset := func(p intstr.IntOrString) bool { return p.IntValue() == 0 }
	switch {
	case probe.HTTPGet != nil && unset(probe.HTTPGet.Port):
		probe.HTTPGet.Port = intstr.FromInt32(port)
	case probe.TCPSocket != nil && unset(probe.TCPSocket.Port):
		probe.TCPSocket.Port = intstr.FromInt32(port)
	case probe.GRPC != nil && probe.GRPC.Port == 0:
		probe.GRPC.Port = port
	}
}

func finishContainer(container *corev1.Container, rev *servingv1.Revision) {
	container.Env = append(container.Env,
		corev1.EnvVar{Name: "K_REVISION", Value: rev.Name},
		corev1.EnvVar{Name: "K_CONFIGURATION", Value: rev.Labels[serving.ConfigurationLabelKey]},
		corev1.EnvVar{Name: "K_SERVICE", Value: rev.Labels[serving.ServiceLabelKey]})
	container.Stdin, container.TTY = false, false
	if container.TerminationMessagePolicy == "" {
		container.TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	}
	if container.TerminationMessagePath == "" {
		container.TerminationMessagePath = corev1.TerminationMessagePathDefault
	}
	if container.ImagePullPolicy == "" {
		container.ImagePullPolicy = pullPolicy(container.Image)
	}
}

// pullPolicy returns what a cluster takes where none is given.
func pullPolicy(image string) corev1.PullPolicy {
	if strings.Contains(image, "@") {
		return corev1.PullIfNotPresent
	}
	name := image[strings.LastIndex(image, "/")+1:]
	if _, tag, ok := strings.Cut(name, ":"); ok && tag != "latest" {
		return corev1.PullIfNotPresent
	}
	return corev1.PullAlways
}
