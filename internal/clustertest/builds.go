package clustertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/cluster"
)

// testBuilds: a job's pod takes what is sent to it and prints what it does; with the
// job goes all that belongs to it.
func testBuilds(s *suite) {
	labels := map[string]string{"kn-lite.dev/build": "b"}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "b", Labels: labels}}
	job.Spec.BackoffLimit = new(int32(0))
	job.Spec.Template.Labels = labels
	job.Spec.Template.Spec = corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		TerminationGracePeriodSeconds: new(int64(1)),
		Containers:                    []corev1.Container{{Name: "build", Image: s.Image, Stdin: true, StdinOnce: false}},
	}
	s.Job(&job.Spec.Template.Spec)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "b-", Labels: labels}, Spec: *job.Spec.Template.Spec.DeepCopy()}
	if _, err := s.Builds.CheckPod(s.ctx, pod); err != nil {
		s.Fatalf("the pod is refused: %v", err)
	}
	made, err := s.Builds.CreateJob(s.ctx, job)
	if err != nil || made.UID == "" {
		s.Fatalf("job: %v, %v", made, err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "b", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "batch/v1", Kind: "Job", Name: made.Name, UID: made.UID},
	}}}
	if err := s.Builds.CreateSecret(s.ctx, secret); err != nil {
		s.Fatal(err)
	}
	name := s.podState("runs", func(c corev1.ContainerState) bool { return c.Running != nil })
	if err := s.Builds.AttachInput(s.ctx, name, "build", strings.NewReader("hello\n")); err != nil {
		s.Logf("the input: %v", err) // a container that has read enough may end first
	}
	ended := make(chan struct{})
	var lines []string
	followed := make(chan error, 1)
	go func() {
		followed <- s.Builds.FollowLog(s.ctx, name, "build", ended, func(line string) error {
			lines = append(lines, line)
			return nil
		})
	}()
	s.podState("has ended", func(c corev1.ContainerState) bool { return c.Terminated != nil && c.Terminated.ExitCode == 0 })
	close(ended)
	if err := <-followed; err != nil || !slices.Contains(lines, "got hello") {
		s.Errorf("the log is %q, %v", lines, err)
	}
	for range 2 { // that there is none is no error
		if err := s.Builds.DeleteJob(s.ctx, "b"); err != nil {
			s.Errorf("deletion: %v", err)
		}
	}
	s.podState("is gone", nil)
	if err := s.Builds.DeleteSecret(s.ctx, "b"); err != nil {
		s.Errorf("the secret: %v", err)
	}
}

// podState waits until the state of the build's container is as wanted, nil for no pod.
func (s *suite) podState(what string, right func(corev1.ContainerState) bool) (name string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 4*s.Within)
	defer cancel()
	last := "nothing"
	err := s.Builds.WatchPods(ctx, "kn-lite.dev/build=b", func(pods []*corev1.Pod) error {
		last = fmt.Sprintf("%d pods", len(pods))
		if right == nil && len(pods) == 0 {
			return cluster.ErrStop
		}
		for _, pod := range pods {
			last = fmt.Sprintf("%+v", pod.Status)
			for _, c := range pod.Status.ContainerStatuses {
				if right != nil && right(c.State) {
					name = pod.Name
					return cluster.ErrStop
				}
			}
		}
		return nil
	})
	if err != nil && name == "" && !(right == nil && last == "0 pods") {
		s.Fatalf("no pod that %s: %v; %s (%s)", what, err, last, time.Now().Format(time.TimeOnly))
	}
	return name
}
