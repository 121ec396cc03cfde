package main

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// setService makes or changes a service: its revisions and the split of them.
func (s *standin) setService(c command) error {
	for i, name := range slices.Sorted(maps.Keys(c.Revisions)) {
		if _, there := store.Get[*servingv1.Revision](s.store, c.Namespace, name); !there {
			if err := s.makeRevision(c, name, i); err != nil {
				return err
			}
		}
	}
	svc, there := store.Get[*servingv1.Service](s.store, c.Namespace, c.Service)
	if there {
		svc = svc.DeepCopy()
	} else {
		svc = &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Service}}
	}
	svc.Spec.Template.Spec.Containers = []corev1.Container{{Image: "registry.example/function"}}
	svc.SetDefaults(context.Background())
	svc.Spec.Traffic = nil
	for _, name := range slices.Sorted(maps.Keys(c.Revisions)) {
		percent, latest := c.Revisions[name], false
		if percent > 0 || c.Tags[name] != "" {
			svc.Spec.Traffic = append(svc.Spec.Traffic, servingv1.TrafficTarget{RevisionName: name, Percent: &percent, LatestRevision: &latest, Tag: c.Tags[name]})
		}
	}
	write := s.store.Create
	if there {
		write = s.store.Update
	}
	object, err := write(svc)
	if err != nil {
		return err
	}
	return s.route(object.(*servingv1.Service), c)
}

func (s *standin) makeRevision(c command, name string, at int) error {
	rev := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: name, Labels: map[string]string{
		serving.ServiceLabelKey: c.Service, serving.ConfigurationGenerationLabelKey: fmt.Sprint(at + 1),
	}}}
	rev.Status.Conditions = conditions(c)
	_, err := s.store.Create(rev)
	return err
}

func conditions(c command) []apis.Condition {
	return []apis.Condition{{Type: apis.ConditionReady, Status: corev1.ConditionStatus(c.Ready), Reason: c.Reason, Message: c.Message}}
}

// route does what the platform's controllers do with a new split.
func (s *standin) route(svc *servingv1.Service, c command) error {
	svc = svc.DeepCopy()
	svc.Status.Traffic = svc.Spec.Traffic
	if c.Ready != "" {
		svc.Status.Conditions = conditions(c)
	}
	host := fmt.Sprintf("http://%s.%s.localhost:7080", svc.Name, svc.Namespace)
	if c.URL != "" {
		host = c.URL
	}
	svc.Status.URL, _ = apis.ParseURL(host)
	_, err := s.store.UpdateStatus(svc)
	return err
}

// setPods makes as many instances of a revision as are asked for.
func (s *standin) setPods(c command) error {
	pods := store.Labelled[*corev1.Pod](s.store, c.Namespace, serving.RevisionLabelKey, c.Revision)
	for len(pods) > c.Pods {
		s.store.Remove(pods[len(pods)-1])
		pods = pods[:len(pods)-1]
	}
	for i := range c.Pods {
		name := fmt.Sprintf("%s-deployment-%05d", c.Revision, i)
		pod, there := store.Get[*corev1.Pod](s.store, c.Namespace, name)
		if !there {
			made, err := s.store.Create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: name, Labels: map[string]string{
				serving.ServiceLabelKey: c.Service, serving.RevisionLabelKey: c.Revision,
			}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "user-container"}}}})
			if err != nil {
				return err
			}
			pod = made.(*corev1.Pod)
		}
		pod = pod.DeepCopy()
		pod.Status = corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "user-container", ContainerID: "standin://" + string(pod.UID)}}}
		switch c.State {
		case "Starting":
		case "", "Serving":
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		default:
			pod.Status.ContainerStatuses[0].RestartCount = int32(c.Count)
			pod.Status.ContainerStatuses[0].State.Waiting = &corev1.ContainerStateWaiting{Reason: c.State}
		}
		if _, err := s.store.UpdateStatus(pod); err != nil {
			return err
		}
	}
	return nil
}

func (s *standin) remove(c command) error {
	svc, there := store.Get[*servingv1.Service](s.store, c.Namespace, c.Service)
	if !there {
		return fmt.Errorf("no service %s", c.Service)
	}
	for _, rev := range store.Labelled[*servingv1.Revision](s.store, c.Namespace, serving.ServiceLabelKey, c.Service) {
		s.store.Remove(rev)
	}
	s.store.Remove(svc)
	return nil
}

func (s *standin) many(c command) error {
	for i := range c.Count {
		name := fmt.Sprintf("fn-%04d", i)
		one := command{Namespace: c.Namespace, Service: name, Ready: "True", Revisions: map[string]int64{name + "-v1": 30, name + "-v2": 70}}
		if err := s.setService(one); err != nil {
			return err
		}
	}
	return nil
}

// follow routes each service as its split says, as the platform's controllers do.
func (s *standin) follow() {
	w := s.store.Watch(s.store.Version())
	for {
		events, err := w.Next(context.Background())
		if err != nil {
			fatal(err)
		}
		for _, e := range events {
			svc, ok := e.Object.(*servingv1.Service)
			if !ok || e.Change != store.Modified || reflect.DeepEqual(svc.Spec.Traffic, svc.Status.Traffic) {
				continue
			}
			if err := s.route(svc, command{}); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
				fatal(err)
			}
		}
	}
}
