package clustertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// running makes a service with one instance that stays, and returns its URL.
func (s *suite) running(edit func(*servingv1.Service)) string {
	s.Helper()
	s.create(func(svc *servingv1.Service) {
		svc.Spec.Template.Name = "fn-v1"
		svc.Spec.Template.Annotations = map[string]string{"autoscaling.knative.dev/min-scale": "1"}
		if edit != nil {
			edit(svc)
		}
	})
	return s.ready("fn-v1").Status.URL.String()
}

// answers waits until a function answers a path with a body that has text in it.
func (s *suite) answers(url, path, text string) {
	s.Helper()
	s.eventually(path+" answers", func() string {
		code, body, err := s.Get(s.ctx, url, path)
		if err != nil || code != http.StatusOK || !strings.Contains(body, text) {
			return fmt.Sprintf("%d %q %v", code, body, err)
		}
		return ""
	})
}

// testPods: the pods of a revision are found by its labels, with the state of their
// containers; one that fails has events that say why.
func testPods(s *suite) {
	s.running(nil)
	s.eventually("a pod is ready", func() string {
		pods, err := s.Client.ListPods(s.ctx, serving.RevisionLabelKey+"=fn-v1")
		if err != nil || len(pods) == 0 {
			return fmt.Sprintf("%d pods, %v", len(pods), err)
		}
		pod := pods[0]
		if pod.Labels[serving.ServiceLabelKey] != "fn" || pod.Labels[serving.ConfigurationLabelKey] != "fn" {
			s.Errorf("its labels are %v", pod.Labels)
		}
		for _, c := range pod.Status.ContainerStatuses {
			if c.Name == "user-container" && c.State.Running != nil && c.Ready && pod.Status.Phase == corev1.PodRunning {
				return ""
			}
		}
		return fmt.Sprintf("%+v", pod.Status)
	})
	byService, err := s.Client.ListPods(s.ctx, serving.ServiceLabelKey+"=fn")
	if err != nil || len(byService) == 0 {
		s.Errorf("pods of the service: %v, %v", byService, err)
	}
	if other, err := s.Client.ListPods(s.ctx, serving.RevisionLabelKey+"=fn-v9"); err != nil || len(other) != 0 {
		s.Errorf("pods of no revision: %v, %v", other, err)
	}
	deployments, err := s.Client.ListDeployments(s.ctx, serving.RevisionLabelKey+"=fn-v1")
	if err != nil || len(deployments) != 1 {
		s.Errorf("deployments: %v, %v", deployments, err)
	}

	s.update(func(svc *servingv1.Service) {
		svc.Spec.Template.Name = "fn-v2"
		s.Crash(svc)
	})
	s.eventually("events of the pod that fails", func() string {
		events, err := s.Client.ListEvents(s.ctx, "Pod", "")
		if err != nil {
			s.Fatal(err)
		}
		for _, e := range events {
			if e.Type == corev1.EventTypeWarning && strings.HasPrefix(e.InvolvedObject.Name, "fn-v2-") && e.Reason != "" && e.Message != "" {
				return ""
			}
		}
		return fmt.Sprintf("none of %d", len(events))
	})
}

// testLogs: the last lines, the lines as they come, over a restart, and those of the
// run before.
func testLogs(s *suite) {
	url := s.running(nil)
	s.answers(url, "/first", "broken is fine")
	pod := s.podOf("fn-v1")
	s.eventually("the log has the request", func() string {
		lines, err := s.Client.TailLog(s.ctx, pod, "user-container", 10, false)
		if err != nil {
			return err.Error()
		}
		return missing(lines, "request /first")
	})
	for range 3 {
		s.answers(url, "/more", "")
	}
	s.eventually("the last two lines", func() string {
		lines, err := s.Client.TailLog(s.ctx, pod, "user-container", 2, false)
		if err != nil || len(lines) != 2 || lines[0] != "request /more" || lines[1] != "request /more" {
			return fmt.Sprintf("they are %q, %v", lines, err)
		}
		return ""
	})
	if _, err := s.Client.TailLog(s.ctx, pod, "user-container", 10, true); err == nil || fault.KindOf(err) != fault.Usage {
		s.Errorf("the run before the first: %v", err)
	}
	if _, err := s.Client.PodLogs(s.ctx, "no-such-pod", corev1.PodLogOptions{}); fault.KindOf(err) != fault.NotFound {
		s.Errorf("the log of no pod: %v", err)
	}

	ctx, stop := context.WithCancel(s.ctx)
	var mu sync.Mutex
	var followed []string
	ended := make(chan error, 1)
	go func() {
		_, err := s.Client.Logs(ctx, cluster.LogOptions{Service: "fn", Follow: true, Tail: 0}, func(line cluster.LogLine) error {
			mu.Lock()
			defer mu.Unlock()
			followed = append(followed, line.Text)
			return nil
		})
		ended <- err
	}()
	hears := func(path string) {
		s.Helper()
		s.eventually("who follows hears "+path, func() string {
			if code, _, err := s.Get(s.ctx, url, path); err != nil || code != http.StatusOK {
				return fmt.Sprint(code, err)
			}
			mu.Lock()
			defer mu.Unlock()
			return missing(followed, "request "+path)
		})
	}
	hears("/followed")
	_, _, _ = s.Get(s.ctx, url, "/crash") // the connection breaks off
	hears("/restarted")
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		s.Errorf("following ended with %v", err)
	}
	s.eventually("the run before", func() string {
		lines, err := s.Client.TailLog(s.ctx, pod, "user-container", 10, true)
		if err != nil {
			return err.Error()
		}
		if slices.Contains(lines, "request /restarted") {
			return fmt.Sprintf("it has lines of the run after: %q", lines)
		}
		return missing(lines, "crashing")
	})
	raw, err := s.Client.PodLogs(s.ctx, pod, corev1.PodLogOptions{Container: "user-container", Timestamps: true})
	if err != nil {
		s.Fatal(err)
	}
	defer raw.Close()
	if text, err := io.ReadAll(raw); err != nil || !strings.Contains(string(text), "Z request /restarted") {
		s.Errorf("with times it reads %q, %v", text, err)
	}
}

// missing complains unless a log has the line. An answer may be here before the line
// that was written first, so an empty log is a reason to wait as well.
func missing(log []string, line string) string {
	if slices.Contains(log, line) {
		return ""
	}
	return fmt.Sprintf("%q is not in the log %q", line, log)
}

func (s *suite) podOf(revision string) string {
	s.Helper()
	var name string
	s.eventually("a pod of "+revision, func() string {
		pods, err := s.Client.ListPods(s.ctx, serving.RevisionLabelKey+"="+revision)
		if err != nil || len(pods) == 0 {
			return fmt.Sprintf("%d pods, %v", len(pods), err)
		}
		name = pods[0].Name
		return ""
	})
	return name
}

// testServing: a function sees what secrets and config maps say.
func testServing(s *suite) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "login"}, StringData: map[string]string{"password": "from a secret"}}
	if err := s.Client.CreateSecret(s.ctx, secret); err != nil {
		s.Fatal(err)
	}
	url := s.running(func(svc *servingv1.Service) {
		c := &svc.Spec.Template.Spec.Containers[0]
		c.Env = append(c.Env, corev1.EnvVar{Name: "ANSWER", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "login"}, Key: "password",
		}}})
	})
	s.answers(url, "/", "from a secret")
	if a := s.Wire.do(s.ctx, "POST", s.Wire.core("configmaps"), `{"metadata":{"name":"settings"},"data":{"ANSWER":"from a config map"}}`); a.code != http.StatusCreated {
		s.Fatal(a.body)
	}
	s.update(func(svc *servingv1.Service) {
		svc.Spec.Template.Name = "fn-v2"
		c := &svc.Spec.Template.Spec.Containers[0]
		c.Env = c.Env[:1]
		c.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}}
	})
	s.ready("fn-v2")
	s.answers(url, "/", "from a config map")
	// One revision, one share: both answer as the split says, by their tags too.
	s.update(func(svc *servingv1.Service) {
		svc.Spec.Traffic = []servingv1.TrafficTarget{
			{RevisionName: "fn-v2", LatestRevision: new(false), Percent: new(int64(100))},
			{RevisionName: "fn-v1", LatestRevision: new(false), Tag: "old"},
		}
	})
	s.routed("fn-v2=100", "fn-v1(old)=0")
	for _, target := range s.find().Status.Traffic {
		if target.Tag == "old" {
			s.answers(target.URL.String(), "/", "from a secret")
		}
	}
}
