package control

import (
	"k8s.io/apimachinery/pkg/api/equality"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// lookup finds the objects that a route's targets name.
type lookup struct {
	configuration func(name string) (*servingv1.Configuration, bool)
	revision      func(name string) (*servingv1.Revision, bool)
}

// assignment is what a route's targets come to.
type assignment struct {
	traffic []servingv1.TrafficTarget // with a revision each; no URLs yet
	bad     *badTarget                // why requests cannot go there
	targets []target                  // all that was looked at
}

// badTarget is a target that requests cannot go to. failure says that waiting does not
// help; mark says what is wrong in a route's status.
type badTarget struct {
	failure bool
	mark    func(*servingv1.RouteStatus)
}

// assignTraffic finds the revisions of a route's targets. Of several targets that are
// bad, the last one that has failed is reported, or else the first.
func assignTraffic(route *servingv1.Route, find lookup) assignment {
	var out assignment
	for _, want := range route.Spec.Traffic {
		var got servingv1.TrafficTarget
		var bad *badTarget
		switch {
		case want.RevisionName != "":
			got, bad = out.revisionTarget(route, want, find)
		case want.ConfigurationName != "":
			got, bad = out.configurationTarget(route, want, find)
		default:
			continue
		}
		if bad != nil {
			if out.bad == nil || bad.failure {
				out.bad = bad
			}
			continue
		}
		out.add(got)
	}
	return out
}

// configurationTarget returns the latest ready revision of a configuration.
func (a *assignment) configurationTarget(route *servingv1.Route, want servingv1.TrafficTarget, find lookup) (servingv1.TrafficTarget, *badTarget) {
	name := want.ConfigurationName
	config, bad := a.configuration(route, name, find)
	if bad != nil {
		return want, bad
	}
	ready := config.Status.LatestReadyRevisionName
	if ready == "" {
		if config.Status.GetCondition(servingv1.ConfigurationConditionReady).IsFalse() {
			return want, &badTarget{true, func(rs *servingv1.RouteStatus) { rs.MarkConfigurationFailed(name) }}
		}
		return want, &badTarget{false, func(rs *servingv1.RouteStatus) { rs.MarkConfigurationNotReady(name) }}
	}
	rev, bad := a.revision(route, ready, find)
	if bad != nil {
		return want, bad
	}
	return flatten(want, ready), unready(rev)
}

func (a *assignment) revisionTarget(route *servingv1.Route, want servingv1.TrafficTarget, find lookup) (servingv1.TrafficTarget, *badTarget) {
	rev, bad := a.revision(route, want.RevisionName, find)
	if bad != nil {
		return want, bad
	}
	// A service's route sends requests to its own revisions only.
	if expected, actual := route.Labels[serving.ServiceLabelKey], rev.Labels[serving.ServiceLabelKey]; expected != "" && expected != actual {
		return want, &badTarget{true, func(rs *servingv1.RouteStatus) { rs.MarkRevisionNotOwned(rev.Name, expected, actual) }}
	}
	if bad := unready(rev); bad != nil {
		return want, bad
	}
	if config, ok := rev.Labels[serving.ConfigurationLabelKey]; ok {
		if _, bad := a.configuration(route, config, find); bad != nil {
			return want, bad
		}
	}
	return flatten(want, rev.Name), nil
}

func (a *assignment) configuration(route *servingv1.Route, name string, find lookup) (*servingv1.Configuration, *badTarget) {
	a.targets = append(a.targets, target{kindConfiguration, route.Namespace, name})
	config, ok := find.configuration(name)
	if !ok {
		return nil, missing(kindConfiguration, name)
	}
	return config, nil
}

func (a *assignment) revision(route *servingv1.Route, name string, find lookup) (*servingv1.Revision, *badTarget) {
	a.targets = append(a.targets, target{kindRevision, route.Namespace, name})
	rev, ok := find.revision(name)
	if !ok {
		return nil, missing(kindRevision, name)
	}
	return rev, nil
}

func missing(kind, name string) *badTarget {
	return &badTarget{true, func(rs *servingv1.RouteStatus) { rs.MarkMissingTrafficTarget(kind, name) }}
}

func unready(rev *servingv1.Revision) *badTarget {
	switch {
	case rev.IsReady():
		return nil
	case rev.Status.GetCondition(servingv1.RevisionConditionReady).IsFalse():
		return &badTarget{true, func(rs *servingv1.RouteStatus) { rs.MarkRevisionFailed(rev.Name) }}
	}
	return &badTarget{false, func(rs *servingv1.RouteStatus) { rs.MarkRevisionNotReady(rev.Name) }}
}

// flatten returns a target with the one revision that it comes to.
func flatten(want servingv1.TrafficTarget, revision string) servingv1.TrafficTarget {
	share := percent(want)
	return servingv1.TrafficTarget{Tag: want.Tag, RevisionName: revision, LatestRevision: want.LatestRevision, Percent: &share}
}

// add notes a target; two that are the same but for their share are one.
func (a *assignment) add(t servingv1.TrafficTarget) {
	for i := range a.traffic {
		have := &a.traffic[i]
		if have.Tag == t.Tag && have.RevisionName == t.RevisionName && equality.Semantic.DeepEqual(have.LatestRevision, t.LatestRevision) {
			sum := percent(*have) + percent(t)
			have.Percent = &sum
			return
		}
	}
	a.traffic = append(a.traffic, t)
}
