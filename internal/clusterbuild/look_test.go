package clusterbuild

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

func podWith(state corev1.ContainerState) *corev1.Pod {
	// What a mesh puts beside the build says nothing about it.
	return &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{Name: "proxy", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 9}}},
		{Name: Container, State: state},
	}}}
}

func podWaiting(reason, message string) *corev1.Pod {
	return podWith(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}})
}

func TestLookAtPods(t *testing.T) {
	for name, tt := range map[string]struct {
		pod   *corev1.Pod
		waits string // why it does not run yet
		kind  fault.Kind
		fatal string
	}{
		"new":             {pod: &corev1.Pod{}, waits: "waiting for a node"},
		"being made":      {pod: podWaiting("ContainerCreating", "")},
		"being made, why": {pod: podWaiting("ContainerCreating", "the volume is not there"), waits: "the volume is not there"},
		"first pull":      {pod: podWaiting("ErrImagePull", "no route"), waits: "its image cannot be pulled: no route"},
		"second pull":     {pod: podWaiting("ImagePullBackOff", "back-off"), kind: fault.NotFound, fatal: "cannot pull the image of the build pod: back-off"},
		"no image name":   {pod: podWaiting("InvalidImageName", ""), kind: fault.NotFound, fatal: "InvalidImageName"},
		"never pulled":    {pod: podWaiting("ErrImageNeverPull", "policy"), kind: fault.NotFound, fatal: "policy"},
		"no config":       {pod: podWaiting("CreateContainerConfigError", "secret not found"), kind: fault.Failure, fatal: "CreateContainerConfigError: secret not found"},
		"no start":        {pod: podWaiting("RunContainerError", "exec format error"), kind: fault.Failure, fatal: "exec format error"},
		"no node": {pod: &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionFalse, Message: "not this one"},
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/3 nodes are available"},
		}}}, waits: "no node takes it: 0/3 nodes are available"},
	} {
		got := look(tt.pod, "registry.example/app:v1")
		if got.running || got.ended != nil || got.waits != tt.waits {
			t.Errorf("%s: %+v", name, got)
		}
		if (got.fatal != nil) != (tt.fatal != "") || got.fatal != nil && (fault.KindOf(got.fatal) != tt.kind || !strings.Contains(got.fatal.Error(), tt.fatal) || fault.HintOf(got.fatal) == "") {
			t.Errorf("%s: %v (%v), want %q", name, got.fatal, fault.KindOf(got.fatal), tt.fatal)
		}
	}
	if got := look(podWith(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}), ""); !got.running || got.ended != nil {
		t.Errorf("one that runs: %+v", got)
	}
	if got := look(podWith(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 7}}), ""); got.ended == nil || got.ended.ExitCode != 7 {
		t.Errorf("one that has ended: %+v", got)
	}
	// An evicted pod may have no status of its container.
	if got := look(&corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}}, ""); got.ended == nil || got.ended.Reason != "Evicted" {
		t.Errorf("one that was evicted: %+v", got)
	}
}

// What was done to the pod comes before what its program says, but not before its success.
func TestConclude(t *testing.T) {
	now := metav1.NewTime(time.Now())
	for name, tt := range map[string]struct {
		pod  corev1.Pod
		end  corev1.ContainerStateTerminated
		kind fault.Kind
		want string
	}{
		"its own error":         {end: corev1.ContainerStateTerminated{ExitCode: 1, Message: string(Verdict("", fault.New(fault.Auth, "registry.push", "r", "denied")))}, kind: fault.Auth, want: "r: denied"},
		"killed for its memory": {end: corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}, kind: fault.Build, want: "more memory"},
		"over its deadline":     {pod: corev1.Pod{Status: corev1.PodStatus{Reason: "DeadlineExceeded"}}, end: corev1.ContainerStateTerminated{ExitCode: 137}, kind: fault.Timeout, want: "deadline"},
		"evicted": {
			pod: corev1.Pod{Status: corev1.PodStatus{Reason: "Evicted", Message: "low on disk"}}, end: corev1.ContainerStateTerminated{ExitCode: 137},
			kind: fault.Transient, want: "evicted the build: low on disk",
		},
		"deleted":          {pod: corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}}, end: corev1.ContainerStateTerminated{ExitCode: 143}, kind: fault.Transient, want: "somebody deleted"},
		"node gone":        {pod: corev1.Pod{Status: corev1.PodStatus{Reason: "NodeLost"}}, kind: fault.Transient, want: "taken off its node: NodeLost"},
		"node shut down":   {pod: corev1.Pod{Status: corev1.PodStatus{Reason: "Terminated", Message: "imminent node shutdown"}}, kind: fault.Transient, want: "imminent node shutdown"},
		"no word at all":   {end: corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error"}, kind: fault.Failure, want: "the build ended with exit code 2"},
		"an odd end":       {end: corev1.ContainerStateTerminated{ExitCode: 128, Reason: "ContainerCannotRun", Message: "no such file"}, kind: fault.Failure, want: "exit code 128 (ContainerCannotRun); its last words:\nno such file"},
		"a message of its": {end: corev1.ContainerStateTerminated{Message: `{"unrelated": true}`}, kind: fault.Failure, want: `{"unrelated": true}`},
	} {
		tt.pod.Name = "pod"
		spec := &Spec{Namespace: "ns", Image: "image"}
		result, err := conclude(&tt.pod, &tt.end, newOwnProgram(spec, &progresstest.Recorder{}))
		if result != nil || err == nil || fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v (%v)", name, result, err, fault.KindOf(err))
		}
	}
	deleted := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}, Status: corev1.PodStatus{Reason: "Evicted"}}
	result, err := conclude(deleted, &corev1.ContainerStateTerminated{Message: string(Verdict(digest, nil))}, newOwnProgram(&Spec{}, &progresstest.Recorder{}))
	if err != nil || result.Digest != digest {
		t.Errorf("a build that had pushed before: %v, %v", result, err)
	}
}

// The last words of a program that is not kn-lite are in the error, and no more than five.
func TestConcludeQuotesTheLog(t *testing.T) {
	program := newOwnProgram(&Spec{Image: "busybox"}, &progresstest.Recorder{})
	for _, line := range []string{"1", "2", "3", "4", "5", "6"} {
		if err := program.Line(line); err != nil {
			t.Fatal(err)
		}
	}
	_, err := program.Conclude("pod", &corev1.ContainerStateTerminated{ExitCode: 1, Message: " 7\n"})
	if err == nil || !strings.HasSuffix(err.Error(), "its last words:\n2\n3\n4\n5\n6\n7") || !strings.Contains(fault.HintOf(err), "busybox") {
		t.Errorf("got %v, hint %q", err, fault.HintOf(err))
	}
}

func TestRefusedPod(t *testing.T) {
	inner := errors.New(`violates PodSecurity "restricted:latest"`)
	for _, cause := range []error{inner, &fault.Error{Op: "cluster.create", Kind: fault.Conflict, Subject: "pod", Err: inner, Hint: "of the cluster"}} {
		err := refusedPod("team", cause)
		if fault.KindOf(err) != fault.Auth || !errors.Is(err, inner) || err.Error() != "namespace/team: "+inner.Error() || !strings.Contains(fault.HintOf(err), "{Pod.Namespace}") {
			t.Errorf("of %v: %v, hint %q", cause, err, fault.HintOf(err))
		}
	}
}
