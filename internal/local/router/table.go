package router

import (
	"slices"
	"strings"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/api/equality"
	"knative.dev/networking/pkg/apis/networking"
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// route is one Route with its split.
type route struct {
	object *servingv1.Route
	uses   []*revision
	split  atomic.Pointer[split]
	hosts  map[string]*target // what it has in Router.hosts
}

// target is what a host leads to: the split of a route, or the revision of a tag.
type target struct {
	route    *route
	tag      string
	revision *revision // nil: the split decides
	local    bool      // answers to hosts of the cluster only
}

// split hands out revisions in exact shares.
type split struct {
	turns []*revision
	next  atomic.Uint64
	tags  map[string]*revision
}

// pick returns whose turn it is, nil where no revision has a share.
func (s *split) pick() *revision {
	if s == nil || len(s.turns) == 0 {
		return nil
	}
	if len(s.turns) == 1 {
		return s.turns[0]
	}
	return s.turns[(s.next.Add(1)-1)%uint64(len(s.turns))]
}

// share is a revision's part of a split.
type share struct {
	revision *revision
	weight   int64
}

// turns spreads shares evenly over as few turns as their sizes allow (smooth
// weighted round robin): of any 100 requests in a row each gets its percentage.
func turns(shares []share) []*revision {
	var total, divisor int64
	for _, s := range shares {
		total += s.weight
		divisor = gcd(divisor, s.weight)
	}
	if total == 0 {
		return nil
	}
	credit := make([]int64, len(shares))
	out := make([]*revision, 0, total/divisor)
	for range total / divisor {
		best := 0
		for i, s := range shares {
			credit[i] += s.weight
			if credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= total
		out = append(out, shares[best].revision)
	}
	return out
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// applyRoute makes the table agree with a Route.
func (r *Router) applyRoute(object *servingv1.Route, deleted bool) *route {
	at := key{object.Namespace, object.Name}
	known := r.routes[at]
	if deleted {
		if known != nil {
			delete(r.routes, at)
			r.setHosts(known, nil)
			r.setUses(known, nil)
		}
		return nil
	}
	if known == nil {
		known = &route{}
		r.routes[at] = known
	} else if known.object.UID == object.UID && sameRouting(known.object, object) {
		known.object = object
		return known
	}
	known.object = object
	var shares []share
	var uses []*revision
	next := &split{tags: map[string]*revision{}}
	local := isLocal(object, object.Status.URL)
	hosts := map[string]*target{object.Name + "." + object.Namespace: {route: known, local: local}}
	for _, t := range object.Status.Traffic {
		if t.RevisionName == "" {
			continue
		}
		revision := r.revision(key{object.Namespace, t.RevisionName})
		uses = append(uses, revision)
		if t.Percent != nil && *t.Percent > 0 {
			shares = addShare(shares, revision, *t.Percent)
		}
		if t.Tag != "" {
			next.tags[t.Tag] = revision
			hosts[t.Tag+"-"+object.Name+"."+object.Namespace] = &target{route: known, tag: t.Tag, revision: revision, local: isLocal(object, t.URL)}
		}
	}
	next.turns = turns(shares)
	known.split.Store(next)
	r.setHosts(known, hosts)
	r.setUses(known, uses)
	return known
}

func (r *Router) setUses(of *route, uses []*revision) {
	for _, v := range uses {
		r.use(v, 1)
	}
	for _, v := range of.uses {
		r.use(v, -1)
	}
	of.uses = uses
}

// addShare adds to what a revision has already: @latest and a name may mean the same.
func addShare(shares []share, revision *revision, weight int64) []share {
	if at := slices.IndexFunc(shares, func(s share) bool { return s.revision == revision }); at >= 0 {
		shares[at].weight += weight
		return shares
	}
	return append(shares, share{revision, weight})
}

// isLocal reports whether a route, or the tag of it that has this URL, answers to
// hosts of the cluster only.
func isLocal(of *servingv1.Route, url *apis.URL) bool {
	return of.Labels[networking.VisibilityLabelKey] == serving.VisibilityClusterLocal ||
		url != nil && strings.HasSuffix(url.Host, ".svc.cluster.local")
}

func sameRouting(a, b *servingv1.Route) bool {
	return isLocal(a, a.Status.URL) == isLocal(b, b.Status.URL) &&
		equality.Semantic.DeepEqual(a.Status.Traffic, b.Status.Traffic)
}

// setHosts replaces the hosts of a route. A route's own name wins over another's tag.
func (r *Router) setHosts(of *route, hosts map[string]*target) {
	for host, old := range of.hosts {
		if hosts[host] == nil {
			r.hosts.CompareAndDelete(host, old)
			r.giveBack(host, of)
		}
	}
	of.hosts = hosts
	for host, next := range hosts {
		if have, ok := r.hosts.Load(host); ok && next.tag != "" {
			if other, ok := have.(*target); ok && other.route != of && other.tag == "" {
				continue
			}
		}
		r.hosts.Store(host, next)
	}
}

// giveBack lets another route that wants the host have it: rare, so it may look
// at all routes, and only at a name that can be read in two ways.
func (r *Router) giveBack(host string, from *route) {
	if !strings.Contains(host, "-") || len(r.routes) == 0 {
		return
	}
	name, namespace, _ := strings.Cut(host, ".")
	for at := range len(name) {
		if name[at] != '-' {
			continue
		}
		if other := r.routes[key{namespace, name[at+1:]}]; other != nil && other != from && other.hosts[host] != nil {
			r.hosts.Store(host, other.hosts[host])
			return
		}
	}
}

// lookup finds what a host leads to. The reason says why there is nothing.
func (r *Router) lookup(host string) (*target, bool) {
	name, local := r.hostKey(host)
	if name == "" {
		return nil, false
	}
	found, ok := r.hosts.Load(name)
	if !ok {
		return nil, false
	}
	t, ok := found.(*target)
	if !ok || t.local && !local {
		return nil, false
	}
	return t, true
}

// hostKey returns NAME.NAMESPACE of a host in any of its forms, and whether the
// form is one that is for use inside the cluster.
func (r *Router) hostKey(host string) (name string, local bool) {
	host = strings.TrimSuffix(hostname(host), ".")
	if strings.ContainsFunc(host, func(c rune) bool { return 'A' <= c && c <= 'Z' }) {
		host = strings.ToLower(host)
	}
	for _, suffix := range []string{r.domain, "localhost"} {
		if name, ok := cutDomain(host, suffix); ok {
			return name, false
		}
	}
	for _, suffix := range []string{"svc.cluster.local", "svc"} {
		if name, ok := cutDomain(host, suffix); ok {
			return name, true
		}
	}
	if strings.Count(host, ".") == 1 {
		return host, true
	}
	return "", false
}

// cutDomain takes ".suffix" off a host that has exactly two labels before it.
func cutDomain(host, suffix string) (string, bool) {
	name, ok := strings.CutSuffix(host, suffix)
	if !ok || len(name) < 2 || name[len(name)-1] != '.' {
		return "", false
	}
	name = name[:len(name)-1]
	return name, strings.Count(name, ".") == 1
}
