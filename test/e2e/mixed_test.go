//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMixed takes random steps with kn-lite and the tools that people use
// beside it, on services made by each of them, while requests come in all the
// time. Whatever the order: shares sum to 100, nobody's tag is lost, no request
// fails, and no tool is refused what it would be allowed without kn-lite.
//
// SEED repeats a run; a failure prints the seed and the steps that led to it.
func TestMixed(t *testing.T) {
	seed := seedOf(t)
	steps := 12
	if full() {
		steps = 200
	}
	s := newSandbox(t)
	image := s.brokenImage("amd64")
	m := &mixed{sandbox: s, image: image, random: rand.New(rand.NewPCG(seed, 1))}
	makers := append(tools(), tool{"kn-lite", func(s *sandbox, service, image, answer string) result {
		return s.run(s.program(t, "kn-lite"), "-n", s.Namespace, "deploy", "-s", service, "--image", image, "--env", "MODE=ok", "--env", "ANSWER="+answer)
	}})
	for i, maker := range makers {
		name := "fn" + string(rune('a'+i))
		if r := maker.set(s, name, image, "first"); r.Code != 0 {
			t.Fatalf("%s cannot make a service: %s%s", maker.name, r.Stdout, r.Stderr)
		}
		made := &mixedService{name: name, maker: maker.name}
		switch maker.name {
		case "apply", "func":
			made.applied = "apply"
		case "server-side apply":
			made.applied = maker.name
		}
		m.services = append(m.services, made)
	}
	for _, svc := range m.services {
		s.kubectl("-n", s.Namespace, "wait", "--for=condition=Ready", "ksvc/"+svc.name, "--timeout=90s")
		svc.host = s.host(svc.name)
		s.answers(svc.host, func(body string) bool { return strings.Contains(body, "first") })
	}
	stop := m.load(t)
	// Deferred, so that it is said of a run that ends early too.
	defer func() {
		sent, failed := stop()
		t.Logf("SEED=%d: %d of %d steps, %d requests, %d failed; steps:\n%s", seed, len(m.log), steps, sent, len(failed), strings.Join(m.log, "\n"))
		if sent < len(m.log) {
			t.Errorf("only %d requests were sent", sent)
		}
		for _, f := range failed {
			t.Errorf("a request failed: %s", f)
		}
		if t.Failed() {
			t.Errorf("repeat it with SEED=%d FULL=%s make e2e RUN='^TestMixed$'", seed, os.Getenv("FULL"))
		}
	}()
	for n := range steps {
		m.step(t, n)
	}
}

type mixedService struct {
	name, maker, host string
	tags              []string // that somebody has set and nobody has removed
	applied           string   // the kind of apply that is used on it
}

type mixed struct {
	*sandbox
	image    string
	random   *rand.Rand
	services []*mixedService
	log      []string
}

// load sends requests to all services, one after the other, until it is
// stopped, and returns how many there were and what went wrong.
func (m *mixed) load(t *testing.T) func() (int, []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var sent int
	var failed []string
	var all sync.WaitGroup
	for _, svc := range m.services {
		all.Go(func() {
			for ctx.Err() == nil {
				status, body, err := m.get(svc.host, "/")
				mu.Lock()
				sent++
				if err != nil || status != http.StatusOK {
					failed = append(failed, fmt.Sprintf("%s %s: status %d, %v, %.80s", time.Now().Format(time.TimeOnly), svc.name, status, err, body))
				}
				mu.Unlock()
				select {
				case <-ctx.Done():
				case <-time.After(300 * time.Millisecond):
				}
			}
		})
	}
	return func() (int, []string) { cancel(); all.Wait(); return sent, failed }
}

// step changes one service in one way and looks at what is left.
func (m *mixed) step(t *testing.T, n int) {
	t.Helper()
	svc := m.services[m.random.IntN(len(m.services))]
	answer := "step-" + strconv.Itoa(n)
	what, r := m.act(svc, n, answer)
	line := fmt.Sprintf("%3d %s (made by %s): %s: exit %d", n, svc.name, svc.maker, what, r.Code)
	m.log = append(m.log, line)
	t.Log(line)
	bad := strings.HasPrefix(what, "bad ")
	if (r.Code != 0) != bad || bad && r.Code != 3 {
		t.Fatalf("%s\n%s%s", line, r.Stdout, r.Stderr)
	}
	// Another tool returns before Knative is done; the next step does not wait for it either.
	m.eventually(60*time.Second, svc.name+" is ready after "+what, func() string {
		return strings.TrimPrefix(m.kubectl("-n", m.Namespace, "get", "ksvc", svc.name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`), "True")
	})
	m.check(t, svc, line)
}

// act is one of the things that people do.
func (m *mixed) act(svc *mixedService, n int, answer string) (string, result) {
	others := tools()
	bin := m.program(m.t, "kn-lite")
	kl := func(args ...string) result { return m.run(bin, append([]string{"-n", m.Namespace}, args...)...) }
	deploy := func(args ...string) result {
		return kl(append([]string{"deploy", "-s", svc.name, "--image", m.image, "--env", "MODE=ok", "--env", "ANSWER=" + answer}, args...)...)
	}
	switch k := m.random.IntN(12); k {
	case 0, 1:
		return "deploy", deploy()
	case 2:
		return "bad deploy", kl("deploy", "-s", svc.name, "--image", m.image, "--env", "MODE=crash", "--env", "ANSWER="+answer)
	case 3:
		tag := "t" + strconv.Itoa(n)
		svc.tags = append(svc.tags, tag)
		return "deploy --no-traffic --tag " + tag, deploy("--no-traffic", "--tag", tag)
	case 4:
		return "deploy --traffic 30", deploy("--traffic", "30")
	case 5:
		return "split @stable=100", kl("traffic", "split", "-s", svc.name, "@stable=100")
	case 6:
		return "split @latest=100", kl("traffic", "split", "-s", svc.name, "@latest=100")
	case 7:
		return "deploy --revision", deploy("--revision", "r"+strconv.Itoa(n))
	default:
		other := others[m.random.IntN(len(others))]
		if strings.HasSuffix(other.name, "apply") {
			// Both kinds of apply on one service are refused by Knative's webhook also
			// without us: kubectl's change from one to the other drops the creator's name.
			if svc.applied != "" && svc.applied != other.name {
				other = others[2]
			} else {
				svc.applied = other.name
			}
		}
		return other.name, other.set(m.sandbox, svc.name, m.image, answer)
	}
}

// check compares what is left with what must hold after every step.
func (m *mixed) check(t *testing.T, svc *mixedService, line string) {
	t.Helper()
	var live struct {
		Metadata struct {
			Annotations   map[string]string
			ManagedFields []struct{ Manager string }
		}
		Spec struct {
			Template struct{ Metadata struct{ Name string } }
			Traffic  []share
		}
		Status struct{ Traffic []share }
	}
	m.object(&live, "ksvc", svc.name, "--show-managed-fields")
	for name, targets := range map[string][]share{"spec": live.Spec.Traffic, "status": live.Status.Traffic} {
		sum := 0
		for _, target := range targets {
			sum += target.Percent
		}
		if sum != 100 {
			t.Errorf("%s: the shares of the %s sum to %d: %v", line, name, sum, targets)
		}
	}
	for _, tag := range svc.tags {
		if !slices.ContainsFunc(live.Spec.Traffic, func(target share) bool { return target.Tag == tag }) {
			t.Errorf("%s: tag %s is lost: %v", line, tag, live.Spec.Traffic)
		}
	}
	if name := live.Spec.Template.Metadata.Name; name != "" {
		t.Errorf("%s: the template is named %s", line, name)
	}
	if live.Metadata.Annotations["kn-lite.dev/deploy"] != "" {
		t.Errorf("%s: the record of a deploy is left", line)
	}
	for _, f := range live.Metadata.ManagedFields {
		if f.Manager == "kn-lite" {
			t.Errorf("%s: kn-lite owns fields", line)
		}
	}
}
