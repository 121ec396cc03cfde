package doctor

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/loopback"
)

// How far two clocks may be apart: what the header Date cannot tell, and what tokens
// and certificates bear.
const (
	clockWarn = 30 * time.Second
	clockFail = 5 * time.Minute
)

// Clock judges this machine's clock by an answer's header Date, which has whole
// seconds, and when the request was sent and the answer received.
func Clock(date, sent, received time.Time) Finding {
	if date.IsZero() {
		return Skipped("the API server does not say what time it is")
	}
	var apart time.Duration
	side := "behind"
	switch {
	case date.Add(time.Second).Before(sent):
		apart, side = sent.Sub(date.Add(time.Second)), "ahead of"
	case date.After(received):
		apart = date.Sub(received)
	}
	const fix = "set this machine's clock, or the cluster's: one of them needs NTP"
	switch apart = apart.Round(time.Second); {
	case apart >= clockFail:
		err := fault.New(fault.Failure, "doctor.clock", "", "this machine is %s %s the API server: tokens and certificates are not valid at the same time", apart, side)
		return Failed(err, fix)
	case apart >= clockWarn:
		return Warned(fix, "this machine is %s %s the API server", apart, side)
	}
	return Passed("agrees with the API server's")
}

// Rights judges what a user may not do in a namespace: needed is what a deploy cannot
// do without, helpful what explains its failures. Both are in the words of `kubectl auth can-i`.
func Rights(namespace string, needed, helpful []string) Finding {
	check := func(rights []string) string {
		lines := []string{"ask for a role with these rights, and check them with"}
		for _, r := range rights {
			lines = append(lines, "kubectl auth can-i "+r+" -n "+namespace)
		}
		return strings.Join(lines, "\n")
	}
	switch {
	case len(needed) > 0:
		return Failed(fault.New(fault.Auth, "doctor.rights", "", "not permitted in namespace %s: %s", namespace, strings.Join(needed, ", ")), check(needed))
	case len(helpful) > 0:
		return Warned(check(helpful), "a deploy is permitted in namespace %s; not permitted, so that the cause of a failure may stay unknown: %s", namespace, strings.Join(helpful, ", "))
	}
	return Passed("a deploy is permitted in namespace %s", namespace)
}

// Ingress judges Knative's own settings: network is the data of the ConfigMap
// config-network, domain that of config-domain; nil may not be read.
func Ingress(network, domain map[string]string) Finding {
	if network == nil && domain == nil {
		return Skipped("Knative's settings may not be read by this user")
	}
	class := network["ingress-class"]
	if class == "" {
		class = network["ingress.class"]
	}
	if class == "" {
		class = "istio.ingress.networking.knative.dev" // Knative's own default
	}
	class, _, _ = strings.Cut(class, ".")
	if network == nil {
		class = "unknown"
	}
	if domain == nil {
		return Passed("class %s; the domain may not be read by this user", class)
	}
	var domains []string
	for name := range domain {
		if !strings.HasPrefix(name, "_") {
			domains = append(domains, name)
		}
	}
	slices.Sort(domains)
	const fix = "name one that leads to the ingress: kubectl patch configmap config-domain -n knative-serving --type merge -p '{\"data\":{\"DOMAIN\":\"\"}}'"
	switch {
	case len(domains) == 0:
		return Warned(fix, "class %s; no domain is configured: services get names that nobody outside of the cluster can look up", class)
	case slices.Equal(domains, []string{"example.com"}):
		return Warned(fix, "class %s; the domain is example.com, which leads nowhere", class)
	}
	return Passed("class %s, domain %s", class, strings.Join(domains, ", "))
}

// Pull judges whether the nodes of a cluster can pull from the registry that this
// machine pushes to.
func Pull(registry, server string) Finding {
	at, err := url.Parse(server)
	if err != nil || loopback.IsHost(at.Host) || !loopback.IsHost(registry) {
		return Passed("the cluster is told to pull from %s", registry)
	}
	return Warned("push to a registry that has a name in the cluster, too, unless the nodes have a mirror of that name",
		"%s is this machine; each node of %s looks for it on itself", registry, at.Host)
}

// Space judges what is free where builds are kept.
func Space(dir string, free uint64) Finding {
	const mega, giga = 1 << 20, 1 << 30
	text := fmt.Sprintf("%.1f GiB free at %s", float64(free)/giga, dir)
	if free < giga {
		text = fmt.Sprintf("%d MiB free at %s", free/mega, dir)
	}
	const fix = "make room there, or set XDG_CACHE_HOME to a folder that has some"
	switch {
	case free < 50*mega:
		return Failed(fault.New(fault.Failure, "doctor.space", "", "%s", text), fix)
	case free < giga:
		return Warned(fix, "%s: a build may need more", text)
	}
	return Passed("%s", text)
}
