package control

import (
	"errors"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

func TestServiceBecomesReady(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello", func(svc *servingv1.Service) {
		svc.Labels = map[string]string{"team": "a"}
		svc.Annotations["note"] = "b"
	})
	svc := p.awaitReady("hello")
	status := svc.Status
	if status.LatestCreatedRevisionName != "hello-00001" || status.LatestReadyRevisionName != "hello-00001" {
		t.Errorf("the revisions are %s and %s", status.LatestCreatedRevisionName, status.LatestReadyRevisionName)
	}
	if got := status.URL.String(); got != "http://hello.default.example.com:7080" {
		t.Errorf("the URL is %s", got)
	}
	if got := status.Address.URL.String(); got != "http://hello.default.svc.cluster.local" {
		t.Errorf("the address is %s", got)
	}
	if len(status.Traffic) != 1 || status.Traffic[0].RevisionName != "hello-00001" || *status.Traffic[0].Percent != 100 || !*status.Traffic[0].LatestRevision {
		t.Errorf("the traffic is %+v", status.Traffic)
	}
	rev := p.revision("hello-00001")
	for key, want := range map[string]string{
		serving.ServiceLabelKey: "hello", serving.ConfigurationLabelKey: "hello", serving.ConfigurationGenerationLabelKey: "1",
		serving.ServiceUIDLabelKey: string(svc.UID), serving.RoutingStateLabelKey: "active",
	} {
		if rev.Labels[key] != want {
			t.Errorf("the revision's label %s is %q, not %q", key, rev.Labels[key], want)
		}
	}
	if rev.Annotations[serving.CreatorAnnotation] != "somebody" || rev.Annotations[serving.RoutesAnnotationKey] != "hello" {
		t.Errorf("the revision's annotations are %v", rev.Annotations)
	}
	if len(rev.Status.ContainerStatuses) != 1 || rev.Status.ContainerStatuses[0].ImageDigest == "" {
		t.Errorf("the containers are %+v", rev.Status.ContainerStatuses)
	}
	route, _ := store.Get[*servingv1.Route](p.store, "default", "hello")
	config, _ := store.Get[*servingv1.Configuration](p.store, "default", "hello")
	for _, object := range []metav1.Object{route, config} {
		if object.GetLabels()["team"] != "a" || object.GetAnnotations()["note"] != "b" || !metav1.IsControlledBy(object, svc) {
			t.Errorf("%s lacks what the service has: %v %v", object.GetName(), object.GetLabels(), object.GetAnnotations())
		}
	}
}

func TestPodHasWhatTheFunctionNeeds(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello", func(svc *servingv1.Service) {
		container := &svc.Spec.Template.Spec.Containers[0]
		container.Env = []corev1.EnvVar{{Name: "A", Value: "1"}}
		container.Ports = []corev1.ContainerPort{{Name: "h2c", ContainerPort: 9000}}
	})
	p.awaitReady("hello")
	pods := store.List[*corev1.Pod](p.store, "default")
	if len(pods) != 1 {
		t.Fatalf("%d pods", len(pods))
	}
	pod := pods[0]
	container := pod.Spec.Containers[0]
	env := map[string]string{}
	for _, e := range container.Env {
		env[e.Name] = e.Value
	}
	for name, want := range map[string]string{"A": "1", "PORT": "9000", "K_SERVICE": "hello", "K_CONFIGURATION": "hello", "K_REVISION": "hello-00001"} {
		if env[name] != want {
			t.Errorf("%s is %q, not %q", name, env[name], want)
		}
	}
	if probe := container.ReadinessProbe; probe == nil || probe.TCPSocket == nil || probe.TCPSocket.Port.IntValue() != 9000 {
		t.Errorf("the readiness probe is %+v", probe)
	}
	if container.Image != p.revision("hello-00001").Status.ContainerStatuses[0].ImageDigest {
		t.Errorf("the image is %s", container.Image)
	}
	if *pod.Spec.TerminationGracePeriodSeconds != 300 || pod.Spec.ServiceAccountName != "default" || pod.Spec.NodeName != "here" {
		t.Errorf("the pod is %+v", pod.Spec)
	}
	for key, want := range map[string]string{serving.RevisionLabelKey: "hello-00001", serving.ServiceLabelKey: "hello", "app": "hello-00001"} {
		if pod.Labels[key] != want {
			t.Errorf("the pod's label %s is %q", key, pod.Labels[key])
		}
	}
}

func TestSecondRevisionTakesOver(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello")
	p.awaitReady("hello")
	p.update("hello", image("registry.example/hello:2"))
	svc := p.awaitReady("hello")
	if svc.Status.LatestReadyRevisionName != "hello-00002" || svc.Status.Traffic[0].RevisionName != "hello-00002" {
		t.Errorf("the status is %+v", svc.Status)
	}
	p.await("the first revision is in reserve", func() error {
		rev := p.revision("hello-00001")
		if rev.GetRoutingState() != servingv1.RoutingStateReserve || rev.Annotations[serving.RoutesAnnotationKey] != "" {
			return fmt.Errorf("%v %v", rev.Labels, rev.Annotations)
		}
		return nil
	})
}

func TestSplitAndTags(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello", revisionName("hello-v1"))
	p.awaitReady("hello")
	p.update("hello", revisionName("hello-v2"), traffic(
		servingv1.TrafficTarget{RevisionName: "hello-v1", Percent: share(60), Tag: "old"},
		servingv1.TrafficTarget{RevisionName: "hello-v2", Percent: share(40)},
		servingv1.TrafficTarget{RevisionName: "hello-v2", Tag: "next"},
	))
	got := p.awaitReady("hello").Status.Traffic
	if len(got) != 3 || got[0].URL.String() != "http://old-hello.default.example.com:7080" || *got[1].Percent != 40 || got[1].URL != nil ||
		got[2].Tag != "next" || *got[2].Percent != 0 {
		t.Errorf("the traffic is %+v", got)
	}
}

func TestFailures(t *testing.T) {
	crash := func(code int32, message string) func(*corev1.Pod) corev1.PodStatus {
		return func(pod *corev1.Pod) corev1.PodStatus {
			return corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
				Name:                 pod.Spec.Containers[0].Name,
				State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: message}},
			}}}
		}
	}
	pull := func(pod *corev1.Pod) corev1.PodStatus {
		return corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
			Name:  pod.Spec.Containers[0].Name,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off pulling image"}},
		}}}
	}
	soon := templateAnnotation(serving.ProgressDeadlineAnnotationKey, "1s")
	for _, test := range []struct {
		name, condition, reason, message string
		change                           func(*servingv1.Service)
		pods                             func(*corev1.Pod) corev1.PodStatus
	}{
		{"image", "ContainerHealthy", "ContainerMissing", `Unable to fetch image "registry.example/missing": failed to resolve image to digest: GET https://registry.example/v2/: NAME_UNKNOWN: 100% sure`, image("registry.example/missing"), nil},
		{"crash", "ContainerHealthy", "ExitCode5", "Container failed with: no config", nil, crash(5, "no config")},
		{"exit", "ContainerHealthy", "ExitCode0", "Container failed with: container exited with no error", nil, crash(0, "")},
		{"pull", "ResourcesAvailable", "ImagePullBackOff", "Back-off pulling image", soon, pull},
		{"late", "ResourcesAvailable", "ProgressDeadlineExceeded", "has timed out progressing.", soon, func(*corev1.Pod) corev1.PodStatus {
			return corev1.PodStatus{Phase: corev1.PodRunning}
		}},
		{"account", "ResourcesAvailable", "FailedCreate", `serviceaccount "nobody" not found`, func(svc *servingv1.Service) {
			svc.Spec.Template.Spec.ServiceAccountName = "nobody"
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t)
			p.pods = test.pods
			p.start()
			change := test.change
			if change == nil {
				change = func(*servingv1.Service) {}
			}
			p.service("hello", change)
			awaitCondition[*servingv1.Revision](p, "default", "hello-00001", test.condition, corev1.ConditionFalse, test.reason, test.message)
			awaitCondition[*servingv1.Configuration](p, "default", "hello", "Ready", corev1.ConditionFalse, "RevisionFailed",
				`Revision "hello-00001" failed with message: `)
			awaitCondition[*servingv1.Route](p, "default", "hello", "AllTrafficAssigned", corev1.ConditionFalse, "RevisionMissing",
				`Configuration "hello" does not have any ready Revision.`)
			awaitCondition[*servingv1.Service](p, "default", "hello", "ConfigurationsReady", corev1.ConditionFalse, "RevisionFailed", "hello-00001")
		})
	}
}

func TestFailedRevisionLeavesTheOldOneServing(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello")
	p.awaitReady("hello")
	p.update("hello", image("registry.example/missing"))
	awaitCondition[*servingv1.Service](p, "default", "hello", "ConfigurationsReady", corev1.ConditionFalse, "RevisionFailed", "hello-00002")
	svc := p.get("hello")
	if svc.Status.LatestReadyRevisionName != "hello-00001" || svc.Status.Traffic[0].RevisionName != "hello-00001" {
		t.Errorf("the status is %+v", svc.Status)
	}
}

func TestRevisionNameTaken(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello", revisionName("hello-v1"))
	p.awaitReady("hello")
	p.update("hello", image("registry.example/other"))
	awaitCondition[*servingv1.Configuration](p, "default", "hello", "Ready", corev1.ConditionFalse, "RevisionFailed",
		`Revision creation failed with message: revisions.serving.knative.dev "hello-v1" already exists.`)
	awaitCondition[*servingv1.Service](p, "default", "hello", "RoutesReady", corev1.ConditionFalse, "RevisionNameTaken",
		`The revision name "hello-v1" is taken by a conflicting Revision, so traffic will not be migrated`)
}

func TestNotOwned(t *testing.T) {
	p := newPlatform(t).start()
	if _, err := p.store.Create(&servingv1.Route{ObjectMeta: metav1.ObjectMeta{Name: "hello", Namespace: "default"}}); err != nil {
		t.Fatal(err)
	}
	p.service("hello")
	awaitCondition[*servingv1.Service](p, "default", "hello", "RoutesReady", corev1.ConditionFalse, "NotOwned",
		`There is an existing Route "hello" that we do not own.`)
	if _, err := p.store.Delete(p.store.KindOf(&servingv1.Route{}), "default", "hello", 0, nil); err != nil {
		t.Fatal(err)
	}
	p.awaitReady("hello")
}

func TestMissingTarget(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello", traffic(servingv1.TrafficTarget{RevisionName: "hello-v9", Percent: share(100)}))
	awaitCondition[*servingv1.Route](p, "default", "hello", "AllTrafficAssigned", corev1.ConditionFalse, "RevisionMissing",
		`Revision "hello-v9" referenced in traffic not found.`)
	p.update("hello", revisionName("hello-v9"))
	p.awaitReady("hello")
}

func TestServiceThatIsDeletedLeavesNothing(t *testing.T) {
	p := newPlatform(t).start()
	svc := p.service("hello")
	p.awaitReady("hello")
	if _, err := p.store.Delete(p.store.KindOf(svc), "default", "hello", 0, nil); err != nil {
		t.Fatal(err)
	}
	p.await("all of it is gone", func() error { return leftovers(p.store, "default") })
	// The name is free at once, for a service that has nothing to do with the old one.
	p.service("hello")
	p.awaitReady("hello")
}

// leftovers says what a namespace still has, but for what each one has.
func leftovers(s *store.Store, namespace string) error {
	var failures []error
	for _, kind := range s.Kinds() {
		objects, _ := s.List(kind, namespace)
		for _, object := range objects {
			switch object.(type) {
			case *corev1.Event, *corev1.ServiceAccount:
			default:
				if kind.Namespaced {
					failures = append(failures, fmt.Errorf("%s %s", kind.Resource, object.GetName()))
				}
			}
		}
	}
	return errors.Join(failures...)
}

func TestPodsFollowTheDeployment(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello")
	p.awaitReady("hello")
	scale := func(n int32) {
		d, _ := store.Get[*appsv1.Deployment](p.store, "default", "hello-00001-deployment")
		d = d.DeepCopy()
		d.Spec.Replicas, d.ResourceVersion = &n, ""
		if _, err := p.store.Update(d); err != nil {
			t.Fatal(err)
		}
		p.await(fmt.Sprint("there are ", n), func() error {
			d, _ := store.Get[*appsv1.Deployment](p.store, "default", "hello-00001-deployment")
			if pods := store.List[*corev1.Pod](p.store, "default"); len(pods) != int(n) || d.Status.ReadyReplicas != n || d.Status.ObservedGeneration != d.Generation {
				return fmt.Errorf("%d pods, %+v", len(pods), d.Status)
			}
			return nil
		})
	}
	scale(3)
	scale(0)
	if rev := p.revision("hello-00001"); !rev.IsReady() {
		t.Errorf("at zero the revision is %+v", rev.Status.Conditions)
	}
	scale(2)
	gone := store.List[*corev1.Pod](p.store, "default")[0]
	if _, err := p.store.Delete(p.store.KindOf(gone), "default", gone.Name, 30, nil); err != nil {
		t.Fatal(err)
	}
	p.await("the pod that was deleted is replaced", func() error {
		pods := store.List[*corev1.Pod](p.store, "default")
		if len(pods) != 2 || pods[0].Name == gone.Name || pods[1].Name == gone.Name {
			return fmt.Errorf("%d pods", len(pods))
		}
		return nil
	})
}

func TestRestartStartsIdleServicesAtZero(t *testing.T) {
	p := newPlatform(t)
	p.idle = true
	p.start()
	p.service("hello")
	p.service("busy", templateAnnotation("autoscaling.knative.dev/min-scale", "1"))
	p.awaitReady("hello")
	p.awaitReady("busy")
	before := p.get("hello").Status
	p.stop()
	p.start()
	p.await("busy has its pod", func() error {
		if d, ok := store.Get[*appsv1.Deployment](p.store, "default", "busy-00001-deployment"); !ok || d.Status.ReadyReplicas != 1 {
			return errors.New("not yet")
		}
		return nil
	})
	for _, pod := range store.List[*corev1.Pod](p.store, "default") {
		if pod.Labels[serving.ServiceLabelKey] == "hello" {
			t.Error("hello has a pod")
		}
	}
	after := p.get("hello").Status
	if fmt.Sprint(before.Conditions) != fmt.Sprint(after.Conditions) {
		t.Errorf("the conditions changed from %v to %v", before.Conditions, after.Conditions)
	}
}

// A revision that failed, and that no route wants any longer, is not tried at each start.
func TestRestartLeavesFailedRevisionsAlone(t *testing.T) {
	p := newPlatform(t)
	p.pods = func(pod *corev1.Pod) corev1.PodStatus {
		if pod.Labels[serving.RevisionLabelKey] == "hello-v1" {
			return readyStatus()
		}
		return corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 7}},
		}}}
	}
	p.start()
	p.service("hello", revisionName("hello-v1"))
	p.awaitReady("hello")
	p.update("hello", revisionName("hello-v2"), traffic(servingv1.TrafficTarget{RevisionName: "hello-v1", Percent: share(100)}))
	awaitCondition[*servingv1.Revision](p, "default", "hello-v2", "Ready", corev1.ConditionFalse, "ExitCode7", "")
	p.await("nobody wants it", func() error {
		if route, _ := store.Get[*servingv1.Route](p.store, "default", "hello"); *route.Spec.Traffic[0].LatestRevision {
			return errors.New("the route follows the latest revision")
		}
		if state := p.revision("hello-v2").GetRoutingState(); state != servingv1.RoutingStateReserve {
			return errors.New(string(state))
		}
		return nil
	})
	p.stop()
	p.start()
	p.await("the deployments are there", func() error {
		if n := len(store.List[*appsv1.Deployment](p.store, "default")); n != 2 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	d, _ := store.Get[*appsv1.Deployment](p.store, "default", "hello-v2-deployment")
	if *d.Spec.Replicas != 0 {
		t.Errorf("it has %d replicas", *d.Spec.Replicas)
	}
	awaitCondition[*servingv1.Revision](p, "default", "hello-v2", "Ready", corev1.ConditionFalse, "ExitCode7", "")
}

// A registry that was away for a moment must not cost a revision its pods.
func TestDigestIsFoundLater(t *testing.T) {
	p := newPlatform(t)
	p.resolver.broken = 1
	p.start()
	p.service("hello")
	awaitCondition[*servingv1.Revision](p, "default", "hello-00001", "ContainerHealthy", corev1.ConditionFalse, "ContainerMissing", "connection refused")
	p.awaitReady("hello")
	if n := p.resolver.asked["registry.example/hello"]; n != 2 {
		t.Errorf("the registry was asked %d times", n)
	}
}

// Who mends what was missing does not wait for the next try.
func TestWhatWasMissingComes(t *testing.T) {
	p := newPlatform(t)
	p.resolver.broken = 6 // the seventh would be after half a minute
	p.start()
	p.service("hello", func(svc *servingv1.Service) {
		svc.Spec.Template.Spec.ServiceAccountName = "mine"
		svc.Spec.Template.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
	})
	for i := range 6 {
		p.await("the registry refuses", func() error {
			p.resolver.mu.Lock()
			defer p.resolver.mu.Unlock()
			if n := p.resolver.asked["registry.example/hello"]; n <= i {
				return fmt.Errorf("it was asked %d times", n)
			}
			return nil
		})
		awaitCondition[*servingv1.Revision](p, "default", "hello-00001", "ContainerHealthy", corev1.ConditionFalse, "ContainerMissing", "")
		p.create(&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("registry", i), Namespace: "default"},
			Type:       corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte("{}")},
		})
	}
	awaitCondition[*servingv1.Revision](p, "default", "hello-00001", "ResourcesAvailable", corev1.ConditionFalse, "FailedCreate", `"mine" not found`)
	p.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "mine", Namespace: "default"}})
	p.awaitReady("hello")
}

func TestPullSecrets(t *testing.T) {
	s, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range []store.Object{
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "n"}, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte("A")}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "b", Namespace: "n"}, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte("B")}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: "n"}, Data: map[string][]byte{"key": []byte("C")}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: "n"}, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "b"}}},
	} {
		if _, err := s.Create(object); err != nil {
			t.Fatal(err)
		}
	}
	spec := &corev1.PodSpec{ImagePullSecrets: []corev1.LocalObjectReference{{Name: "a"}, {Name: "other"}, {Name: "none"}}}
	if got := fmt.Sprintf("%s", pullSecrets(s, "n", spec)); got != "[A B]" {
		t.Errorf("%s", got)
	}
}

func TestNoWorkerWaitsForARegistry(t *testing.T) {
	p := newPlatform(t)
	p.resolver.open = make(chan struct{})
	p.start()
	for i := range 20 {
		p.service(fmt.Sprint("slow", i))
	}
	p.service("fast", image("registry.example/fast@sha256:abc"))
	p.awaitReady("fast")
	awaitCondition[*servingv1.Revision](p, "default", "slow0-00001", "ResourcesAvailable", corev1.ConditionUnknown, "ResolvingDigests", "")
	close(p.resolver.open)
	for i := range 20 {
		p.awaitReady(fmt.Sprint("slow", i))
	}
}

func TestRolloutRestart(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello")
	p.awaitReady("hello")
	first := store.List[*corev1.Pod](p.store, "default")[0]
	for {
		d, _ := store.Get[*appsv1.Deployment](p.store, "default", "hello-00001-deployment")
		d = d.DeepCopy()
		d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] = "now"
		if _, err := p.store.Update(d); err == nil {
			break
		}
	}
	p.await("another pod has taken its place", func() error {
		pods := store.List[*corev1.Pod](p.store, "default")
		if len(pods) != 1 || pods[0].Name == first.Name || pods[0].Annotations["kubectl.kubernetes.io/restartedAt"] != "now" {
			return fmt.Errorf("%d pods", len(pods))
		}
		return nil
	})
}
