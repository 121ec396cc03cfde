package control

import (
	"math"
	"slices"
	"sync"
	"time"

	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// A route with a rollout duration moves to the latest revision step by step: it begins
// with one percent, and the rest follows in equal steps. Which revisions have how much is
// in the status of the route, which outlasts the platform; when the next step is due is
// only remembered, and counted anew after a start.

// pace is when the steps of a rollout are and how large.
type pace struct {
	next  time.Time
	every time.Duration
	size  int64
}

// paces are those of all rollouts that are under way, by route and target.
type paces struct {
	mu    sync.Mutex
	known map[target]map[string]pace
}

func newPaces() *paces { return &paces{known: map[target]map[string]pace{}} }

func (p *paces) get(route *servingv1.Route) map[string]pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[routeKey(route.Namespace, route.Name)]
}

func (p *paces) set(namespace, name string, next map[string]pace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(next) == 0 {
		delete(p.known, routeKey(namespace, name))
		return
	}
	p.known[routeKey(namespace, name)] = next
}

// rollOut returns the traffic on the way from what a route has to what it is to have,
// with the paces of what is under way and the time of the next step, zero for none.
func rollOut(route *servingv1.Route, want []servingv1.TrafficTarget, find lookup, known map[string]pace, now time.Time) (traffic []servingv1.TrafficTarget, next map[string]pace, due time.Time) {
	next = map[string]pace{}
	for _, goal := range want {
		config := configurationOf(goal.RevisionName, find)
		have := slices.DeleteFunc(slices.Clone(route.Status.Traffic), func(t servingv1.TrafficTarget) bool {
			return !follows(t) || t.Tag != goal.Tag || configurationOf(t.RevisionName, find) != config
		})
		if !follows(goal) || percent(goal) < 2 || len(have) == 0 {
			traffic = append(traffic, goal)
			continue
		}
		id := goal.Tag + "/" + config
		shares, p := step(have, goal, known[id], route.RolloutDuration(), now)
		traffic = append(traffic, shares...)
		if len(shares) > 1 {
			next[id] = p
			if due.IsZero() || p.next.Before(due) {
				due = p.next
			}
		}
	}
	return traffic, next, due
}

func follows(t servingv1.TrafficTarget) bool { return t.LatestRevision != nil && *t.LatestRevision }

// configurationOf returns the configuration of a revision, "" for one that is gone.
func configurationOf(revision string, find lookup) string {
	rev, ok := find.revision(revision)
	if !ok {
		return ""
	}
	return rev.Labels[serving.ConfigurationLabelKey]
}

// step moves the shares of a target, oldest revision first, towards goal: it begins where
// goal has a new revision, and goes one step where one is due.
func step(have []servingv1.TrafficTarget, goal servingv1.TrafficTarget, p pace, duration time.Duration, now time.Time) ([]servingv1.TrafficTarget, pace) {
	shares := fit(have, percent(goal))
	last := len(shares) - 1
	switch {
	case last < 0 || last == 0 && shares[0].RevisionName == goal.RevisionName:
		return []servingv1.TrafficTarget{goal}, pace{}
	case shares[last].RevisionName != goal.RevisionName:
		return begin(shares, goal), newPace(percent(goal), duration, now)
	case p.size == 0:
		return shares, newPace(percent(goal), duration, now)
	case now.Before(p.next):
		return shares, p
	}
	shares = move(shares, p.size)
	p.next = now.Add(p.every)
	return shares, p
}

// newPace spreads what is left after the first percent over the duration, of which a
// second has gone with that.
func newPace(total int64, duration time.Duration, now time.Time) pace {
	seconds := max(1, duration.Seconds()-1)
	steps := min(seconds, float64(total-1))
	every := time.Duration(seconds / steps * float64(time.Second))
	return pace{next: now.Add(every), every: every, size: int64(math.Round(float64(total-1) / steps))}
}

// fit returns shares that come to total: what is added goes to the newest, what has to go
// is taken from the oldest.
func fit(have []servingv1.TrafficTarget, total int64) []servingv1.TrafficTarget {
	shares := make([]int64, len(have))
	sum := int64(0)
	for i, t := range have {
		shares[i] = percent(t)
		sum += shares[i]
	}
	shares[len(shares)-1] += max(total-sum, 0)
	for i, excess := 0, sum-total; i < len(shares) && excess > 0; i++ {
		cut := min(shares[i], excess)
		shares[i] -= cut
		excess -= cut
	}
	return withShares(have, shares)
}

// begin gives the first percent to the revision of goal, from the newest one before it.
func begin(have []servingv1.TrafficTarget, goal servingv1.TrafficTarget) []servingv1.TrafficTarget {
	have = append(slices.Clone(have), goal)
	shares := make([]int64, len(have))
	last := len(have) - 1
	for i, t := range have[:last] {
		if t.RevisionName == goal.RevisionName {
			shares[last] += percent(t) // it comes back
		} else {
			shares[i] = percent(t)
		}
	}
	if shares[last] == 0 {
		shares[last] = 1
		for i := last - 1; i >= 0; i-- {
			if shares[i] > 0 {
				shares[i]--
				break
			}
		}
	}
	return withShares(have, shares)
}

// move gives size to the newest revision, from the one before it first.
func move(have []servingv1.TrafficTarget, size int64) []servingv1.TrafficTarget {
	shares := make([]int64, len(have))
	for i, t := range have {
		shares[i] = percent(t)
	}
	last := len(shares) - 1
	for i := last - 1; i >= 0 && size > 0; i-- {
		cut := min(shares[i], size)
		shares[i] -= cut
		shares[last] += cut
		size -= cut
	}
	return withShares(have, shares)
}

// withShares returns the targets with these shares, without those that have none.
func withShares(targets []servingv1.TrafficTarget, shares []int64) []servingv1.TrafficTarget {
	var out []servingv1.TrafficTarget
	for i, t := range targets {
		if shares[i] > 0 {
			t.Percent = &shares[i]
			out = append(out, t)
		}
	}
	return out
}
