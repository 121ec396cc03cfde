package deploy

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/knative"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// pod is a pod whose user container has the status.
func pod(s corev1.ContainerStatus) *corev1.Pod {
	if s.Name == "" {
		s.Name = "user-container"
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "fn-v2-pod"},
		Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: knative.QueueProxy, State: running(time.Hour)}, s}},
	}
}

func running(since time.Duration) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(noon.Add(-since))}}
}

func waits(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func ended(code int32, reason string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}}
}

func revision(status corev1.ConditionStatus, reason, message string) *servingv1.Revision {
	return &servingv1.Revision{Status: servingv1.RevisionStatus{Status: duckv1.Status{
		Conditions: duckv1.Conditions{{Type: servingv1.RevisionConditionReady, Status: status, Reason: reason, Message: message}},
	}}}
}

func TestDiagnose(t *testing.T) {
	crashing := corev1.ContainerStatus{RestartCount: 1, State: waits("CrashLoopBackOff", "back-off 10s"), LastTerminationState: ended(3, "Error")}
	privatePod := pod(corev1.ContainerStatus{State: waits("ErrImagePull", `failed to authorize: 401 Unauthorized`)})
	privatePod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "regcred"}}
	probed := revision(corev1.ConditionUnknown, "Deploying", "")
	probed.Spec.Containers = []corev1.Container{{ReadinessProbe: probe(nil, "/health/readiness")}}
	ported := revision(corev1.ConditionUnknown, "Deploying", "")
	ported.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{ContainerPort: 9999}}}}
	unscheduled := pod(corev1.ContainerStatus{})
	unscheduled.Status = corev1.PodStatus{Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/3 nodes are available: 3 Insufficient memory",
	}}}
	refused := func(message string) []appsv1.Deployment {
		return []appsv1.Deployment{{Status: appsv1.DeploymentStatus{Conditions: []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: message,
		}}}}}
	}
	taken := &servingv1.Service{Status: servingv1.ServiceStatus{Status: duckv1.Status{Conditions: duckv1.Conditions{
		{Type: servingv1.ServiceConditionConfigurationsReady, Status: corev1.ConditionFalse, Reason: "RevisionNameTaken", Message: "fn-v2 is taken"},
	}}}}
	dying := pod(crashing)
	dying.DeletionTimestamp = &metav1.Time{Time: noon}
	small := pod(corev1.ContainerStatus{RestartCount: 1, State: ended(137, "Error")})
	small.Spec.Containers = []corev1.Container{{Name: "user-container", Resources: corev1.ResourceRequirements{
		Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")},
	}}}
	withSidecar := pod(crashing)
	withSidecar.Spec.Containers = []corev1.Container{{Name: "proxy"}, {Name: "app", Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}
	withSidecar.Status.ContainerStatuses[1].Name = "proxy"
	withSidecar.Status.ContainerStatuses = append(withSidecar.Status.ContainerStatuses, corev1.ContainerStatus{Name: "app", Ready: true, State: running(time.Minute)})
	notDeployed := corev1.Event{
		Reason: "InternalError", InvolvedObject: corev1.ObjectReference{Kind: "Revision", Name: "fn-v2"},
		Message: `failed to create deployment "fn-v2-deployment": Deployment.apps "fn-v2-deployment" is invalid: spec.template.spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`,
	}
	unhealthy := []corev1.Event{{Reason: "Unhealthy", Message: "Liveness probe failed: HTTP probe failed with statuscode: 500", InvolvedObject: corev1.ObjectReference{Name: "fn-v2-pod"}}}

	failed := func(after time.Duration, message string) corev1.Event {
		return corev1.Event{Reason: "Failed", Message: message, LastTimestamp: metav1.Time{Time: noon.Add(after)}, InvolvedObject: corev1.ObjectReference{Name: "fn-v2-pod"}}
	}
	tests := []struct {
		name     string
		e        Evidence
		code     Code
		terminal bool
		says     string // in cause or fix
	}{
		{"nothing yet", Evidence{}, Pending, false, "still on its way"},
		{"deleted service", Evidence{ServiceGone: true}, Deleted, true, "service was deleted"},
		{"deleted revision", Evidence{RevisionGone: true}, Deleted, true, "revision was deleted"},
		{"name taken", Evidence{Service: taken}, NameTaken, true, "{Revision}"},
		{"pulling", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("ContainerCreating", "")})}}, Pending, false, "pulling the image"},
		{"pull: not found", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("ErrImagePull", "rpc error: reg/fn: not found")})}}, ImagePull, true, "does the image exist"},
		{"pull: no credentials", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("ErrImagePull", "pull access denied")})}}, ImagePull, true, "kubectl create secret docker-registry"},
		{"pull: wrong credentials", Evidence{Pods: []*corev1.Pod{privatePod}}, ImagePull, true, "pull secret regcred"},
		{"pull: certificate", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("ErrImagePull", "x509: certificate signed by unknown authority")})}}, ImagePull, true, "do not trust"},
		{"pull: plain HTTP", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("ErrImagePull", "http: server gave HTTP response to HTTPS client")})}}, ImagePull, true, "plain HTTP"},
		{"pull: unreachable", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("ErrImagePull", "dial tcp: lookup reg: no such host")})}}, ImagePull, true, "do not reach"},
		{"pull: no such platform", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("ErrImagePull", "no match for platform in manifest")})}}, WrongArchitecture, true, "{Platforms}"},
		{"pull: back-off, event tells", Evidence{
			Pods:   []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("ImagePullBackOff", `Back-off pulling image "reg/fn"`)})},
			Events: []corev1.Event{{Reason: "Failed", Message: "Failed to pull image: 403 Forbidden", InvolvedObject: corev1.ObjectReference{Name: "fn-v2-pod"}}},
		}, ImagePull, true, "403"},
		// The kubelet's three events of one failed pull, and only one says why.
		{"pull: back-off, later events say less", Evidence{
			Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("ImagePullBackOff", `Back-off pulling image "reg/fn"`)})},
			Events: []corev1.Event{
				failed(0, `Failed to pull image "reg/fn": reg/fn: not found`), failed(time.Second, "Error: ErrImagePull"), failed(2*time.Second, "Error: ImagePullBackOff"),
			},
		}, ImagePull, true, "does the image exist"},
		{"pull: digits of a digest are no status", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("ErrImagePull", "reg/fn@sha256:"+strings.Repeat("4011", 16)+": not found")})}}, ImagePull, true, "does the image exist"},
		{"secret missing", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("CreateContainerConfigError", `secret "db" not found`)})}}, ConfigMissing, true, `secret "db"`},
		{"architecture, from the log", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: ended(255, "Error")})}, Log: []string{"exec /app: exec format error"}}, WrongArchitecture, true, "{Platforms}"},
		{"architecture, from the runtime", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("RunContainerError", `exec: "/app": exec format error`)})}}, WrongArchitecture, true, "{Platforms}"},
		// Knative asks for the end of the log as the termination message.
		{"a library is missing, says the program", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{RestartCount: 1, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 1, Reason: "Error", Message: "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
		}}})}}, Crash, true, "exit code 1, 2 times"},
		{"no such program, at its start", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{RestartCount: 1, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 128, Reason: "StartError", Message: `exec: "/nope": stat /nope: no such file or directory`,
		}}})}}, BadCommand, true, "entrypoint"},
		{"no such program", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("CreateContainerError", `exec: "/nope": no such file or directory`)})}}, BadCommand, true, "entrypoint"},
		{"not executable", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: waits("RunContainerError", `exec: "/app": permission denied`)})}}, BadCommand, true, "0755"},
		{"first crash may be bad luck", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: ended(3, "Error")})}}, Crash, false, "exit code 3, 1 time"},
		{"crash again", Evidence{Pods: []*corev1.Pod{pod(crashing)}, Log: []string{"no database"}}, Crash, true, "exit code 3, 2 times"},
		{"started again after a crash", Evidence{Now: noon, Pods: []*corev1.Pod{pod(corev1.ContainerStatus{RestartCount: 2, State: running(time.Second), LastTerminationState: ended(3, "Error")})}}, Crash, false, "2 times"},
		{"a pod on its way out tells nothing", Evidence{Pods: []*corev1.Pod{dying}}, Pending, false, ""},
		{"ends by itself", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{RestartCount: 1, State: ended(0, "Completed")})}}, Exited, true, "ends by itself"},
		{"out of memory", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{RestartCount: 1, State: ended(137, "OOMKilled")})}}, OutOfMemory, true, "limits.memory"},
		{"out of memory, the time before", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{RestartCount: 1, State: ended(137, "Error"), LastTerminationState: ended(137, "OOMKilled")})}}, OutOfMemory, true, "limits.memory"},
		{"killed below a limit", Evidence{Pods: []*corev1.Pod{small}}, OutOfMemory, true, "most likely"},
		{"killed without a limit", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{RestartCount: 1, State: ended(137, "Error")})}}, Crash, true, "exit code 137"},
		{"liveness", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{RestartCount: 1, State: ended(137, "Error")})}, Events: unhealthy}, Unhealthy, true, "healthEndpoints.liveness"},
		{"command not found", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{RestartCount: 1, State: ended(127, "Error")})}}, BadCommand, true, "exit code 127"},
		{"queue-proxy's end is not the user's", Evidence{Now: noon, Pods: []*corev1.Pod{pod(corev1.ContainerStatus{Name: knative.QueueProxy, RestartCount: 3, State: ended(1, "Error")})}}, Crash, false, "queue-proxy"},
		{"not ready for 5 s", Evidence{Now: noon, Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: running(5 * time.Second)})}}, Pending, false, "not ready yet"},
		{"silent for 20 s", Evidence{Now: noon, Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: running(20 * time.Second)})}}, WrongPort, false, "port 8080"},
		{"a slow starter is not given up", Evidence{Now: noon, Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: running(4 * time.Minute)})}}, WrongPort, false, "{Port}"},
		{"says another port", Evidence{Now: noon, Log: []string{"Listening on http://0.0.0.0:3000"}, Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: running(11 * time.Second)})}}, WrongPort, true, "{Port} 3000"},
		{"says the right port", Evidence{Now: noon, Object: ported, Log: []string{"listening on :9999"}, Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: running(11 * time.Second)})}}, WrongPort, false, "port 9999"},
		{"readiness probe", Evidence{Now: noon, Object: probed, Pods: []*corev1.Pod{pod(corev1.ContainerStatus{State: running(2 * time.Minute)})}}, NotReady, false, "/health/readiness"},
		{"startup probe", Evidence{Pods: []*corev1.Pod{pod(corev1.ContainerStatus{RestartCount: 1, State: ended(137, "Error")})}, Events: []corev1.Event{
			{Reason: "Unhealthy", Message: "Startup probe failed: connection refused", InvolvedObject: corev1.ObjectReference{Name: "fn-v2-pod"}},
		}}, Unhealthy, true, "failureThreshold"},
		{"a sidecar crashes", Evidence{Pods: []*corev1.Pod{withSidecar}, Log: []string{"all is well"}, OtherLogs: map[string][]string{"proxy": {"no certificate"}}}, Crash, true, "container proxy, beside"},
		{"the deployment is invalid", Evidence{Revision: "fn-v2", Object: revision(corev1.ConditionUnknown, "Deploying", ""), Events: []corev1.Event{notDeployed}}, Refused, true, "must be less than or equal to cpu limit"},
		{"no deployment yet, and no event", Evidence{Revision: "fn-v2", Object: revision(corev1.ConditionUnknown, "Deploying", "")}, Pending, false, "Deploying"},
		{"no room", Evidence{Pods: []*corev1.Pod{unscheduled}}, Unschedulable, false, "Insufficient memory"},
		{"quota", Evidence{Deployments: refused(`pods "x" is forbidden: exceeded quota: small`)}, Quota, true, "resourcequota"},
		{"admission", Evidence{Deployments: refused(`admission webhook "policy" denied the request: no root`)}, Refused, true, "no root"},
		{"Knative says so", Evidence{Revision: "fn-v2", Object: revision(corev1.ConditionFalse, "Odd", "for a reason")}, Failed, true, "for a reason"},
		{"Knative cannot resolve the image", Evidence{Object: revision(corev1.ConditionFalse, servingv1.ReasonContainerMissing, "unable to fetch image: 401 Unauthorized")}, ImagePull, true, "credentials"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Diagnose(tt.e)
			if f.Code != tt.code || f.Terminal != tt.terminal {
				t.Errorf("code %s, terminal %v; want %s, %v (%s)", f.Code, f.Terminal, tt.code, tt.terminal, f.Cause)
			}
			if !strings.Contains(f.Cause+"\n"+f.Fix, tt.says) {
				t.Errorf("neither cause nor fix says %q:\n%s\n%s", tt.says, f.Cause, f.Fix)
			}
			if f.Waiting == "" || f.Cause == "" {
				t.Errorf("an empty sentence: %+v", f)
			}
		})
	}
}

func TestListening(t *testing.T) {
	tests := []struct {
		line string
		want int32
	}{
		{"listening on :9999", 9999},
		{"Listening on http://127.0.0.1:3000", 3000},
		{"Tomcat started on port 8081 (http) with context path ''", 8081},
		{" * Running on http://0.0.0.0:5000", 5000},
		{"server listening on port: 4000", 4000},
		{"Uvicorn running on http://[::]:8000 (Press CTRL+C to quit)", 8000},
		{"cannot reach the database at db:5432", 0},
		{"starting worker 12345", 0},
		{"listening", 0},
		{"listening on :99999", 0},
	}
	for _, tt := range tests {
		if got := listening([]string{"noise", tt.line, "more noise"}); got != tt.want {
			t.Errorf("%q: %d, want %d", tt.line, got, tt.want)
		}
	}
}
