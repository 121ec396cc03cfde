package deploy

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// The messages have the form that the sources of Kubernetes 1.35 and Knative Serving 0.50 give them,
// the disk pressure that of earlier schedulers; names and numbers are made up.
func TestDiagnoseByWords(t *testing.T) {
	refused := func(message string) Evidence {
		return Evidence{Deployments: []appsv1.Deployment{{Status: appsv1.DeploymentStatus{Conditions: []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: message,
		}}}}}}
	}
	unscheduled := func(message string) Evidence {
		p := pod(corev1.ContainerStatus{})
		p.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message,
		}}}
		return Evidence{Pods: []*corev1.Pod{p}}
	}
	creating := func(reason, message string) Evidence {
		return Evidence{
			Pods:   []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("ContainerCreating", "")})},
			Events: []corev1.Event{{Reason: reason, Message: message, InvolvedObject: corev1.ObjectReference{Name: "fn-v2-pod"}}},
		}
	}
	cured := creating("FailedMount", `MountVolume.SetUp failed for volume "db" : secret "db" not found`)
	cured.Events = append(cured.Events, corev1.Event{Reason: "Pulling", Message: `Pulling image "reg/fn"`, InvolvedObject: corev1.ObjectReference{Name: "fn-v2-pod"}})
	evicted := pod(corev1.ContainerStatus{})
	evicted.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 800Mi. "}
	limited := pod(corev1.ContainerStatus{State: waits("ErrImagePull", `failed to pull and unpack image "docker.io/me/fn:1": failed to copy: httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/me/fn/manifests/sha256:00: 429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit.`)})

	tests := []struct {
		name        string
		e           Evidence
		code        Code
		terminal    bool
		cause, says string // in the cause; in the fix
	}{
		{"quota", refused(`pods "fn-v2-deployment-7d4" is forbidden: exceeded quota: small, requested: requests.cpu=425m, used: requests.cpu=900m, limited: requests.cpu=1`), Quota, true, "limited: requests.cpu=1", "resourcequota"},
		{"pod security", refused(`pods "fn-v2-deployment-7d4" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "user-container" must set securityContext.allowPrivilegeEscalation=false), ` + strings.Repeat("x", 400)), PodSecurity, true, `violates PodSecurity "restricted:latest"`, "runAsNonRoot"},
		{"limit range, most", refused(`pods "fn-v2-deployment-7d4" is forbidden: maximum cpu usage per Container is 500m, but limit is 1`), LimitRange, true, "but limit is 1", "limitrange"},
		{"limit range, least", refused(`pods "fn-v2-deployment-7d4" is forbidden: minimum memory usage per Container is 64Mi, but request is 16Mi`), LimitRange, true, "but request is 16Mi", "limitrange"},
		{"service account", refused(`pods "fn-v2-deployment-7d4" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found`), NoServiceAccount, true, `"robot" not found`, "kubectl create serviceaccount"},
		{"runtime class", refused(`pods "fn-v2-deployment-7d4" is forbidden: pod rejected: RuntimeClass "gvisor" not found`), NoClass, true, "gvisor", "kubectl get runtimeclass"},
		{"priority class", refused(`pods "fn-v2-deployment-7d4" is forbidden: no PriorityClass with name urgent was found`), NoClass, true, "urgent", "kubectl get priorityclass"},
		{"webhook away", refused(`Internal error occurred: failed calling webhook "pods.policy.example": failed to call webhook: Post "https://policy.ops.svc:443/pods?timeout=10s": no endpoints available for service "policy"`), WebhookAway, true, "pods.policy.example", "validatingwebhookconfigurations"},
		{"webhook refuses", refused(`admission webhook "pods.policy.example" denied the request: images come from reg.example only`), Refused, true, "reg.example only", "admission policy"},

		{"cpu", unscheduled("0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."), Unschedulable, false, "Insufficient cpu", "deploy.options.resources"},
		{"selector", unscheduled("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."), NoNodeMatches, false, "affinity/selector", "--show-labels"},
		{"taint", unscheduled("0/1 nodes are available: 1 node(s) had untolerated taint(s)."), NoNodeMatches, false, "untolerated taint", "kubectl describe nodes"},
		{"disk pressure", unscheduled("0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }."), NodePressure, false, "disk-pressure", "free space"},
		{"claim not bound", unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"), VolumeClaim, false, "unbound", "storage class"},
		{"claim missing", unscheduled(`0/1 nodes are available: persistentvolumeclaim "data" not found. not found`), VolumeClaim, false, `"data" not found`, "run.volumes"},
		{"another reason", unscheduled("0/1 nodes are available: 1 node(s) were odd."), Unschedulable, false, "were odd", "nodes"},

		{"secret of a volume", creating("FailedMount", `MountVolume.SetUp failed for volume "db" : secret "db" not found`), ConfigMissing, true, `secret "db" not found`, "create what is missing"},
		{"config map of a volume", creating("FailedMount", `MountVolume.SetUp failed for volume "cfg" : configmap "cfg" not found`), ConfigMissing, true, `configmap "cfg" not found`, "create what is missing"},
		{"key of a volume", creating("FailedMount", `MountVolume.SetUp failed for volume "db" : references non-existent secret key: password`), ConfigMissing, true, "password", "add the key"},
		{"volume in use", creating("FailedAttachVolume", `Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) other`), VolumeClaim, false, "Multi-Attach", "in use by another node"},
		{"network plugin", creating("FailedCreatePodSandBox", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "1f": plugin type="bridge" failed (add): no IP addresses available`), NoSandbox, false, "no IP addresses", "network plugin"},
		{"the secret came later", cured, Pending, false, "on its way", "{Timeout}"},
		{"created, no event", creating("Pulling", "Pulling image"), Pending, false, "on its way", "{Timeout}"},

		{"evicted", Evidence{Pods: []*corev1.Pod{evicted}}, NodePressure, false, "ephemeral-storage", "requests"},
		{"pull limit", Evidence{Pods: []*corev1.Pod{limited}}, ImagePull, true, "429 Too Many Requests", "limits how often"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Diagnose(tt.e)
			if f.Code != tt.code || f.Terminal != tt.terminal {
				t.Errorf("code %s, terminal %v; want %s, %v (%s)", f.Code, f.Terminal, tt.code, tt.terminal, f.Cause)
			}
			if !strings.Contains(f.Cause, tt.cause) || !strings.Contains(f.Fix, tt.says) {
				t.Errorf("want %q in the cause and %q in the fix:\n%s\n%s", tt.cause, tt.says, f.Cause, f.Fix)
			}
		})
	}
}

func TestRouteFinding(t *testing.T) {
	for _, tt := range []struct{ reason, message, says string }{
		{"Uninitialized", "Waiting for load balancer to be ready", "ingress controller"},
		{"RevisionMissing", `Revision "fn-v1" referenced in traffic not found.`, "kn-lite traffic split"},
		{"CertificateNotReady", "Certificate route-6f is not ready: Pending", "cert-manager"},
		{"CertificateProvisionFailed", "Certificate route-6f fails to be provisioned: Denied", "cert-manager"},
		{"RevisionMissing", `Revision "fn-v1" failed to become ready.`, "kubectl describe route"},
		{"Odd", "for a reason", "kubectl describe route"},
	} {
		svc := &servingv1.Service{Status: servingv1.ServiceStatus{Status: duckv1.Status{Conditions: duckv1.Conditions{
			{Type: servingv1.ServiceConditionRoutesReady, Status: corev1.ConditionFalse, Reason: tt.reason, Message: tt.message},
		}}}}
		if f := routeFinding(svc); !strings.Contains(f.Fix, tt.says) {
			t.Errorf("%s: %q is not in %s", tt.reason, tt.says, f.Fix)
		}
	}
}

// A volume that cannot be mounted is told of by events only, so they have to be read.
func TestSlowCreationIsSuspicious(t *testing.T) {
	p := pod(corev1.ContainerStatus{State: waits(containerCreating, "")})
	p.CreationTimestamp = metav1.NewTime(noon)
	if s := suspicion(Evidence{Now: noon.Add(2 * time.Second), Pods: []*corev1.Pod{p}}); s != "" {
		t.Errorf("after 2 s: %s", s)
	}
	if s := suspicion(Evidence{Now: noon.Add(30 * time.Second), Pods: []*corev1.Pod{p}}); s == "" {
		t.Error("nothing is suspected after 30 s")
	}
}
