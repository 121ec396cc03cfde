package dockerfile

import (
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// waitFor is a RUN that says that one stage is there and waits for the other.
func waitFor(one, other string) string {
	return "RUN --mount=type=cache,id=meet,target=/c touch /c/" + one + " && i=0 && while [ ! -e /c/" + other + " ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done; ls /c/" + other + " > /" + one + "\n"
}

func TestIndependentStagesRunAtTheSameTime(t *testing.T) {
	p := newProject(t, "FROM busybox AS a\n"+waitFor("a", "b")+"FROM busybox AS b\n"+waitFor("b", "a")+
		"FROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n", nil)
	wantAdded(t, p.must(Options{}), "0 0644 0:0 a = /c/b", "0 0644 0:0 b = /c/a")
	steps := strings.Join(p.told.steps, "\n")
	for _, want := range []string{"[a] RUN", "[b] RUN", "[2] COPY --from=a"} {
		if !strings.Contains(steps, want) {
			t.Errorf("no %q in:\n%s", want, steps)
		}
	}
}

func TestFirstFailureEndsAllStages(t *testing.T) {
	p := newProject(t, `FROM busybox AS slow
RUN sleep 200
FROM busybox AS bad
RUN echo going wrong && sleep 1 && exit 3
FROM busybox
COPY --from=slow /etc/passwd /slow
COPY --from=bad /etc/passwd /bad
`, nil)
	started := time.Now()
	_, err := p.build(Options{})
	if fault.KindOf(err) != fault.Build || !strings.HasPrefix(err.Error(), "Dockerfile:4: ") {
		t.Errorf("err = %v", err)
	}
	if took := time.Since(started); took > 2*time.Minute {
		t.Errorf("it took %v", took)
	}
	if !strings.Contains(p.told.output(), "[bad] going wrong") {
		t.Errorf("output:\n%s", p.told.output())
	}
}

func TestLockedCachesAreForOneAtATime(t *testing.T) {
	const alone = "RUN --mount=type=cache,id=lock,target=/c,sharing=locked mkdir /c/held && sleep 1 && rmdir /c/held && echo "
	p := newProject(t, "FROM busybox AS a\n"+alone+"a\nFROM busybox AS b\n"+alone+"b\nFROM busybox\nCOPY --from=a /etc/passwd /a\nCOPY --from=b /etc/passwd /b\n", nil)
	p.must(Options{})
}

// A stage that is not needed for what is missing is not run again.
func TestKnownLayersNeedNoStages(t *testing.T) {
	p := newProject(t, "FROM busybox AS a\nRUN echo ran a > /a && echo ran a\nFROM busybox\nCOPY --from=a /a /\nRUN echo ran last\n", nil)
	p.must(Options{})
	p.must(Options{})
	if out := p.told.output(); out != "" {
		t.Errorf("output: %s", out)
	}
	if steps := strings.Join(p.told.steps, "\n"); strings.Contains(steps, "[a]") || !strings.Contains(steps, "cached: COPY") {
		t.Errorf("steps:\n%s", steps)
	}
}

// Stages that begin alike share what they do alike, wherever it stands in their
// histories and whether the image needs its layer or not.
func TestCommonStepsAreDoneOnce(t *testing.T) {
	const common = "WORKDIR /w\nRUN echo ran common && date +%s.%N > now && head -c 20 /dev/urandom > noise\n"
	p := newProject(t, "FROM busybox AS a\n"+common+"RUN echo a > a\n"+
		"FROM busybox AS b\nLABEL stage=b\n"+common+"RUN echo b > b && rm now\n"+
		"FROM busybox\nLABEL stage=last\n"+common+
		"COPY --from=a /w /a\nCOPY --from=b /w /b\nRUN cmp noise /a/noise && cmp noise /b/noise && cmp now /a/now && test ! -e /b/now && cat /a/a /b/b\n", nil)
	for i, options := range []Options{{}, {NoCache: true}, {}} {
		p.told.raw = nil
		image := p.must(options)
		if ran, want := strings.Count(p.told.output(), "ran common"), 1-i/2; ran != want {
			t.Errorf("it ran %d times, want %d:\n%s", ran, want, p.told.output())
		}
		config, err := image.Image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		var empty []string
		for _, h := range config.History {
			if h.EmptyLayer {
				empty = append(empty, h.CreatedBy)
			}
		}
		if len(empty) != 2 || !strings.HasPrefix(empty[0], "LABEL") || !strings.HasPrefix(empty[1], "RUN cmp") {
			t.Errorf("empty in the history: %q", empty)
		}
	}
}
