package control

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func testDeployment(replicas int32) *appsv1.Deployment {
	deadline := int32(60)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "d", Namespace: "n", Generation: 7},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, ProgressDeadlineSeconds: &deadline},
	}
}

// testPod is NAME/HASH/STATE, with the minutes of its age behind the state.
func testPod(text string) *corev1.Pod {
	part := strings.Split(text, "/")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: part[0], Labels: map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: part[1]},
	}}
	var age int
	state, minutes, _ := strings.Cut(part[2], "-")
	_, _ = fmt.Sscan(minutes, &age)
	pod.CreationTimestamp = metav1.NewTime(noon.Add(-time.Duration(age) * time.Minute))
	pod.Status.Phase = corev1.PodRunning
	switch state {
	case "ready":
		pod.Status = readyStatus()
	case "pending":
		pod.Status.Phase = corev1.PodPending
	case "failed":
		pod.Status.Phase = corev1.PodFailed
	case "ending":
		at := metav1.NewTime(noon)
		pod.Status, pod.DeletionTimestamp = readyStatus(), &at
	}
	return pod
}

func TestPlanPods(t *testing.T) {
	for _, test := range []struct {
		name   string
		want   int32
		pods   []string
		create int
		remove []string
	}{
		{"none yet", 2, nil, 2, nil},
		{"enough", 1, []string{"a/h/ready"}, 0, nil},
		{"not ready goes first", 1, []string{"a/h/ready", "b/h/running-9"}, 0, []string{"b"}},
		{"pending goes before running", 1, []string{"a/h/running", "b/h/pending-9"}, 0, []string{"b"}},
		{"the youngest goes first", 1, []string{"a/h/ready-5", "b/h/ready-1", "c/h/ready-3"}, 0, []string{"b", "c"}},
		{"all go", 0, []string{"a/h/ready", "b/h/pending"}, 0, []string{"b", "a"}},
		{"ending ones do not count", 1, []string{"a/h/ending"}, 1, nil},
		{"what failed is replaced", 1, []string{"a/h/failed"}, 1, []string{"a"}},
		{"an old one stays until the new one is ready", 1, []string{"a/old/ready", "b/h/running"}, 0, nil},
		{"and then goes", 1, []string{"a/old/ready", "b/h/ready"}, 0, []string{"a"}},
		{"an old one and no new one", 1, []string{"a/old/ready"}, 1, nil},
		{"old ones go one by one", 2, []string{"a/old/ready-5", "b/old/ready-1", "c/h/ready", "d/h/running"}, 0, []string{"b"}},
		{"old ones that do not serve go first", 2, []string{"a/old/ready-1", "b/old/running-5", "c/h/ready", "d/h/running"}, 0, []string{"b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var pods []*corev1.Pod
			for _, text := range test.pods {
				pods = append(pods, testPod(text))
			}
			got := planPods(test.want, "h", pods)
			var removed []string
			for _, pod := range got.remove {
				removed = append(removed, pod.Name)
			}
			if got.create != test.create || !slices.Equal(removed, test.remove) {
				t.Errorf("creates %d and removes %v", got.create, removed)
			}
		})
	}
}

func TestDeploymentConditions(t *testing.T) {
	d := testDeployment(1)
	check := func(kind appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason string) {
		t.Helper()
		got := deploymentCondition(&d.Status, kind)
		if got == nil || got.Status != status || got.Reason != reason {
			t.Errorf("%s is %+v, not %s %s", kind, got, status, reason)
		}
	}
	mark := func(after time.Duration, failure error, texts ...string) time.Duration {
		var pods []*corev1.Pod
		for _, text := range texts {
			pods = append(pods, testPod(text))
		}
		return markReplicas(d, "h", pods, failure, noon.Add(after))
	}
	if left := mark(0, errors.New("no account")); left != time.Minute {
		t.Errorf("late in %v", left)
	}
	check(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue, "FailedCreate")
	check(appsv1.DeploymentProgressing, corev1.ConditionTrue, "NewReplicaSetCreated")
	check(appsv1.DeploymentAvailable, corev1.ConditionFalse, "MinimumReplicasUnavailable")
	if left := mark(10*time.Second, nil, "a/h/running"); left != time.Minute {
		t.Errorf("a new pod is a step: late in %v", left)
	}
	check(appsv1.DeploymentProgressing, corev1.ConditionTrue, "ReplicaSetUpdated")
	if deploymentCondition(&d.Status, appsv1.DeploymentReplicaFailure) != nil {
		t.Error("the failure stays")
	}
	if left := mark(50*time.Second, nil, "a/h/running"); left != 20*time.Second {
		t.Errorf("late in %v", left)
	}
	mark(70*time.Second, nil, "a/h/running")
	check(appsv1.DeploymentProgressing, corev1.ConditionFalse, "ProgressDeadlineExceeded")
	if left := mark(80*time.Second, nil, "a/h/running"); left != 0 {
		t.Errorf("late again in %v", left)
	}
	check(appsv1.DeploymentProgressing, corev1.ConditionFalse, "ProgressDeadlineExceeded")
	mark(90*time.Second, nil, "a/h/ready")
	check(appsv1.DeploymentProgressing, corev1.ConditionTrue, "NewReplicaSetAvailable")
	check(appsv1.DeploymentAvailable, corev1.ConditionTrue, "MinimumReplicasAvailable")
	// Scaled up later, it is never late.
	*d.Spec.Replicas = 2
	if left := mark(100*time.Second, nil, "a/h/ready", "b/h/running"); left != 0 {
		t.Errorf("late in %v", left)
	}
	check(appsv1.DeploymentProgressing, corev1.ConditionTrue, "NewReplicaSetAvailable")
	check(appsv1.DeploymentAvailable, corev1.ConditionFalse, "MinimumReplicasUnavailable")
	if s := d.Status; s.Replicas != 2 || s.ReadyReplicas != 1 || s.UnavailableReplicas != 1 || s.ObservedGeneration != 7 {
		t.Errorf("%+v", s)
	}
}

// A deployment that never came up is done when the autoscaler gives it up.
func TestDeploymentAtZeroIsComplete(t *testing.T) {
	d := testDeployment(1)
	markReplicas(d, "h", []*corev1.Pod{testPod("a/h/running")}, nil, noon)
	*d.Spec.Replicas = 0
	markReplicas(d, "h", nil, nil, noon.Add(2*time.Minute))
	if got := deploymentCondition(&d.Status, appsv1.DeploymentProgressing); got.Status != corev1.ConditionTrue {
		t.Errorf("%+v", got)
	}
}

func testRevision(name string, generation int, ready corev1.ConditionStatus) *servingv1.Revision {
	rev := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "n", Labels: map[string]string{
		serving.ConfigurationLabelKey: "c", serving.ConfigurationGenerationLabelKey: fmt.Sprint(generation),
	}}}
	rev.Status.InitializeConditions()
	switch ready {
	case corev1.ConditionTrue:
		rev.Status.MarkContainerHealthyTrue()
		rev.Status.MarkResourcesAvailableTrue()
	case corev1.ConditionFalse:
		rev.Status.MarkContainerHealthyFalse("ExitCode1", "boom")
	case corev1.ConditionUnknown:
	}
	return rev
}

func TestLatestReadyRevision(t *testing.T) {
	const yes, no, unknown = corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown
	for _, test := range []struct {
		name      string
		ready     string // the latest ready one of before
		template  string // the name that the template gives
		states    []corev1.ConditionStatus
		want      string
		condition corev1.ConditionStatus
		message   string
	}{
		{"the first", "", "", []corev1.ConditionStatus{yes}, "r1", yes, ""},
		{"the newest has failed", "r1", "", []corev1.ConditionStatus{yes, no}, "r1", no, `Revision "r2" failed with message: boom.`},
		{"the newest is on its way", "r1", "", []corev1.ConditionStatus{yes, unknown}, "r1", unknown, ""},
		{"one between became ready", "r1", "", []corev1.ConditionStatus{yes, yes, unknown}, "r2", unknown, ""},
		{"never back to an older one", "r2", "", []corev1.ConditionStatus{yes, unknown, unknown}, "r2", unknown, ""},
		{"the one that was it is gone", "r9", "", []corev1.ConditionStatus{yes, yes, no}, "r2", no, "r3"},
		{"back to a named one", "r2", "r1", []corev1.ConditionStatus{yes, yes}, "r1", yes, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := &servingv1.Configuration{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "n", Generation: int64(len(test.states))}}
			config.Spec.Template.Name = test.template
			config.Status.InitializeConditions()
			config.Status.LatestReadyRevisionName = test.ready
			var all []*servingv1.Revision
			for i, state := range test.states {
				all = append(all, testRevision(fmt.Sprint("r", i+1), i+1, state))
			}
			latest := all[len(all)-1]
			for _, rev := range all {
				if rev.Name == test.template {
					latest = rev
				}
			}
			markConfiguration(config, latest, all)
			ready := config.Status.GetCondition(servingv1.ConfigurationConditionReady)
			if got := config.Status.LatestReadyRevisionName; got != test.want || ready.Status != test.condition || !strings.Contains(ready.Message, test.message) {
				t.Errorf("%s, %+v", got, ready)
			}
			if config.Status.LatestCreatedRevisionName != latest.Name {
				t.Errorf("the latest created one is %s", config.Status.LatestCreatedRevisionName)
			}
		})
	}
}

func TestStaleRevisions(t *testing.T) {
	config := &servingv1.Configuration{}
	config.Status.LatestReadyRevisionName = "r0"
	all := func(n int, state servingv1.RoutingState, age time.Duration) []*servingv1.Revision {
		var out []*servingv1.Revision
		for i := range n {
			rev := testRevision(fmt.Sprint("r", i), i, corev1.ConditionTrue)
			at := noon.Add(-age - time.Duration(n-i)*time.Second)
			rev.CreationTimestamp = metav1.NewTime(at)
			rev.SetRoutingState(state, at)
			out = append(out, rev)
		}
		return out
	}
	const reserve, day = servingv1.RoutingStateReserve, 24 * time.Hour
	preserved := all(30, reserve, 3*day)
	preserved[1].Annotations[serving.RevisionPreservedAnnotationKey] = "True"
	lately := all(30, reserve, 3*day)
	for _, rev := range lately {
		rev.Annotations[serving.RoutingStateModifiedAnnotationKey] = noon.Add(-time.Hour).Format(time.RFC3339)
	}
	for _, test := range []struct {
		name  string
		all   []*servingv1.Revision
		stale int
		first string
		after time.Duration
	}{
		{"few", all(21, reserve, 3*day), 0, "", 0},
		{"old ones beyond the twenty that stay", all(30, reserve, 3*day), 9, "r1", 0},
		{"in use", all(30, servingv1.RoutingStateActive, 3*day), 0, "", 0},
		{"on their way", all(30, servingv1.RoutingStatePending, 3*day), 0, "", 0},
		{"preserved", preserved, 8, "r2", 0},
		{"young", all(30, reserve, day), 0, "", day - 29*time.Second},
		{"used lately", lately, 0, "", 14 * time.Hour},
		{"too many", all(1011, reserve, time.Minute), 10, "r1", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			stale, after := staleRevisions(config, test.all, noon)
			if len(stale) != test.stale {
				t.Fatalf("%d are stale", len(stale))
			}
			if test.stale > 0 && stale[0].Name != test.first {
				t.Errorf("%s goes first", stale[0].Name)
			}
			if test.after > 0 && after != test.after {
				t.Errorf("the next look is in %v", after)
			}
		})
	}
}

func TestAssignTraffic(t *testing.T) {
	const yes, no, unknown = corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown
	revisions := map[string]*servingv1.Revision{
		"r1": testRevision("r1", 1, yes), "r2": testRevision("r2", 2, yes), "failed": testRevision("failed", 3, no), "new": testRevision("new", 4, unknown),
	}
	other := testRevision("other", 1, yes)
	other.Labels[serving.ServiceLabelKey] = "neighbour"
	alone := testRevision("alone", 1, yes)
	revisions["other"], revisions["alone"] = other, alone
	for _, name := range []string{"r1", "r2", "failed", "new"} {
		revisions[name].Labels[serving.ServiceLabelKey] = "s"
	}
	config := func(ready string, failed bool) *servingv1.Configuration {
		c := &servingv1.Configuration{}
		c.Status.InitializeConditions()
		if failed {
			c.Status.MarkLatestCreatedFailed("failed", "boom")
		}
		c.Status.LatestReadyRevisionName = ready
		return c
	}
	configurations := map[string]*servingv1.Configuration{
		"c": config("r2", false), "starting": config("", false), "broken": config("", true), "dangling": config("gone", false),
	}
	find := lookup{
		func(name string) (*servingv1.Configuration, bool) { c, ok := configurations[name]; return c, ok },
		func(name string) (*servingv1.Revision, bool) { r, ok := revisions[name]; return r, ok },
	}
	to := func(config, revision, tag string, n int64) servingv1.TrafficTarget {
		latest := revision == ""
		return servingv1.TrafficTarget{ConfigurationName: config, RevisionName: revision, Tag: tag, Percent: &n, LatestRevision: &latest}
	}
	for _, test := range []struct {
		name    string
		traffic []servingv1.TrafficTarget
		want    string // REVISION/TAG/SHARE, or the condition
	}{
		{"the latest", []servingv1.TrafficTarget{to("c", "", "", 100)}, "r2//100"},
		{"a split", []servingv1.TrafficTarget{to("", "r1", "", 30), to("c", "", "next", 70)}, "r1//30 r2/next/70"},
		{"the same twice", []servingv1.TrafficTarget{to("", "r1", "", 30), to("", "r1", "", 70)}, "r1//100"},
		{"the same with another tag", []servingv1.TrafficTarget{to("", "r1", "", 100), to("", "r1", "a", 0)}, "r1//100 r1/a/0"},
		{"the latest and by name", []servingv1.TrafficTarget{to("", "r2", "", 50), to("c", "", "", 50)}, "r2//50 r2//50"},
		{"no such revision", []servingv1.TrafficTarget{to("", "nope", "", 100)}, `False RevisionMissing Revision "nope" referenced in traffic not found.`},
		{"no such configuration", []servingv1.TrafficTarget{to("nope", "", "", 100)}, `False ConfigurationMissing Configuration "nope" referenced in traffic not found.`},
		{"a failed revision", []servingv1.TrafficTarget{to("", "failed", "", 100)}, `False RevisionMissing Revision "failed" failed to become ready.`},
		{"a new revision", []servingv1.TrafficTarget{to("", "new", "", 100)}, `Unknown RevisionMissing Revision "new" is not yet ready.`},
		{"a new configuration", []servingv1.TrafficTarget{to("starting", "", "", 100)}, `Unknown RevisionMissing Configuration "starting" is waiting for a Revision to become ready.`},
		{"a failed configuration", []servingv1.TrafficTarget{to("broken", "", "", 100)}, `False RevisionMissing Configuration "broken" does not have any ready Revision.`},
		{"a latest revision that is gone", []servingv1.TrafficTarget{to("dangling", "", "", 100)}, `False RevisionMissing Revision "gone" referenced in traffic not found.`},
		{"another service's", []servingv1.TrafficTarget{to("", "other", "", 100)}, `False RevisionNotOwned Revision "other" belongs to Service "neighbour", not Service "s".`},
		{"nobody's", []servingv1.TrafficTarget{to("", "alone", "", 100)}, `False RevisionNotOwned Revision "alone" does not belong to Service "s".`},
		{"a failure counts more than waiting", []servingv1.TrafficTarget{to("", "failed", "", 50), to("", "new", "", 50)}, `False RevisionMissing Revision "failed" failed to become ready.`},
	} {
		t.Run(test.name, func(t *testing.T) {
			route := &servingv1.Route{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "n", Labels: map[string]string{serving.ServiceLabelKey: "s"}}}
			route.Spec.Traffic = test.traffic
			route.Status.InitializeConditions()
			markRoute(route, assignTraffic(route, find), "example.com", public)
			var got []string
			for _, traffic := range route.Status.Traffic {
				got = append(got, fmt.Sprintf("%s/%s/%d", traffic.RevisionName, traffic.Tag, *traffic.Percent))
			}
			assigned := route.Status.GetCondition(servingv1.RouteConditionAllTrafficAssigned)
			if !assigned.IsTrue() {
				got = []string{string(assigned.Status), assigned.Reason, assigned.Message}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%s", strings.Join(got, " "))
			}
		})
	}
}

func TestRouteTargets(t *testing.T) {
	config := &servingv1.Configuration{ObjectMeta: metav1.ObjectMeta{Name: "c", Generation: 3}}
	config.Status.ObservedGeneration, config.Status.LatestCreatedRevisionName = 3, "r3"
	find := lookup{
		func(name string) (*servingv1.Configuration, bool) { return config, name == "c" },
		func(name string) (*servingv1.Revision, bool) {
			return testRevision(name, 1, corev1.ConditionTrue), name != "gone"
		},
	}
	yes, no := true, false
	route := &servingv1.Route{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "n"}}
	route.Status.Traffic = []servingv1.TrafficTarget{{RevisionName: "r2", LatestRevision: &yes}}
	route.Spec.Traffic = []servingv1.TrafficTarget{
		{ConfigurationName: "c", LatestRevision: &yes}, {RevisionName: "r1", LatestRevision: &no}, {RevisionName: "gone", LatestRevision: &no},
	}
	check := func(want bool, names ...string) {
		t.Helper()
		targets, settled := routeTargets(route, find)
		var got []string
		for _, target := range targets {
			got = append(got, target.name)
		}
		if !slices.Equal(got, names) || settled != want {
			t.Errorf("%v, settled: %v", got, settled)
		}
	}
	check(true, "r2", "c", "r3", "r1")
	config.Generation = 4
	check(false, "r2", "c", "r3", "r1")
	route.Status.Traffic, route.Spec.Traffic = nil, route.Spec.Traffic[1:]
	check(true, "r1", "c")
}

func public(string) bool { return false }

func TestRouteURL(t *testing.T) {
	for _, test := range []struct {
		name, tag, domain string
		private           bool
		want              string
	}{
		{"hello", "", "127.0.0.1.sslip.io:7080", false, "http://hello.n.127.0.0.1.sslip.io:7080"},
		{"hello", "v1", "127.0.0.1.sslip.io", false, "http://v1-hello.n.127.0.0.1.sslip.io"},
		{"hello", "", "example.com:7080", true, "http://hello.n.svc.cluster.local"},
		{"hello", "v1", "example.com:7080", true, "http://v1-hello.n.svc.cluster.local"},
		{strings.Repeat("a", 63), "b", "example.com:7080", false, "domain name error: invalid domain name"},
	} {
		route := &servingv1.Route{ObjectMeta: metav1.ObjectMeta{Name: test.name, Namespace: "n"}}
		got, err := routeURL(route, test.tag, test.domain, test.private)
		if text := fmt.Sprint(got, err); !strings.Contains(text, test.want) {
			t.Errorf("%+v is %s", test, text)
		}
	}
}

// A tag that makes no host name is said in the status.
func TestRouteThatCannotHaveAName(t *testing.T) {
	route := &servingv1.Route{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "n"}}
	share := int64(100)
	route.Status.InitializeConditions()
	markRoute(route, assignment{traffic: []servingv1.TrafficTarget{{RevisionName: "r", Tag: strings.Repeat("t", 63), Percent: &share}}}, "example.com", public)
	got := route.Status.GetCondition(servingv1.RouteConditionAllTrafficAssigned)
	if !got.IsFalse() || got.Reason != "ErrorConfig" || !strings.Contains(got.Message, "domain name error") {
		t.Errorf("%+v", got)
	}
}
