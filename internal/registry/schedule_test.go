package registry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
)

// TestRandomSchedules pushes through registries where 5 % or 20 % of all
// requests go wrong, at random but by a seed that a failure prints.
func TestRandomSchedules(t *testing.T) {
	for _, tt := range []struct {
		percent int
		atLeast float64 // of the pushes must succeed
	}{{5, 0.995}, {20, 0.95}} {
		t.Run(fmt.Sprintf("%d%%", tt.percent), func(t *testing.T) {
			seeds, good := scheduleSeeds(), 0
			for seed := range seeds {
				synctest.Test(t, func(t *testing.T) {
					if randomSchedule(t, uint64(seed), tt.percent) {
						good++
					}
				})
			}
			if rate := float64(good) / float64(seeds); rate < tt.atLeast {
				t.Errorf("%d of %d pushes succeeded, want %.1f %%", good, seeds, 100*tt.atLeast)
			} else {
				t.Logf("%d of %d pushes succeeded", good, seeds)
			}
		})
	}
}

// scheduleSeeds is how many schedules are tried; -short tries few.
func scheduleSeeds() int {
	if testing.Short() {
		return 50
	}
	return 250
}

func randomSchedule(t *testing.T, seed uint64, percent int) (succeeded bool) {
	random := rand.New(rand.NewPCG(seed, uint64(percent)))
	actions := append(transientFaults(), regtest.ResetAfterReading(300), regtest.ExpireTokens())
	var faults []regtest.Fault
	for _, on := range pushPath {
		for nth := 1; nth <= 40; nth++ {
			if random.IntN(100) < percent {
				faults = append(faults, regtest.Fault{On: on, Nth: nth, Do: actions[random.IntN(len(actions))]})
			}
		}
	}
	old, next := testImage(t, 1, 500), testImage(t, 2, 9_000, 2_000, 10)
	server := regtest.New(faults...)
	server.Auth, server.User, server.Password = "bearer", "u", "p"
	if err := server.Seed(repo, "v1", old); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, server, registry.Options{Env: credentials(t, "u", "p")})
	defer l.close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	_, err := l.client.Push(ctx, next, tag)
	now, complete := server.Tag(repo, "v1")
	switch {
	case ctx.Err() != nil:
		t.Errorf("seed %d: did not end by itself", seed)
	case !complete:
		t.Errorf("seed %d: the tag names %q, which is not complete", seed, now)
	case err == nil && now != digestOf(t, next):
		t.Errorf("seed %d: success, and the tag names %s", seed, now)
	case err != nil && fault.KindOf(err) != fault.Transient:
		t.Errorf("seed %d: %v is %v, want transient", seed, err, fault.KindOf(err))
	}
	return err == nil
}
