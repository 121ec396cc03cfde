//go:build unix

package build

import (
	"context"
	"errors"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang"
)

// A language may have another name in a func.yaml that knative/func has written.
func TestKnows(t *testing.T) {
	for name, want := range map[string]bool{"go": true, "java": true, "springboot": true, "typescript": true, "quarkus": false, "": false} {
		if got := Knows(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
		if toFuncRuntime(LanguageOf(name)) != name && name != "java" {
			t.Errorf("%q comes back as %q", name, toFuncRuntime(LanguageOf(name)))
		}
	}
	for _, name := range []string{"java", "springboot"} {
		if l, err := choose(Spec{Language: name}); err != nil || l.Name() != "java" {
			t.Errorf("%s: %v, %v", name, l, err)
		}
	}
}

func TestRecogniseJava(t *testing.T) {
	found, err := Recognise(context.Background(), project(t, file{"pom.xml", "<project><artifactId>app</artifactId></project>"}), "", nil)
	if err != nil || found.Language != "java" || found.Runtime != "springboot" || found.Evidence[0] != "pom.xml" {
		t.Errorf("%+v, %v", found, err)
	}
}

// closing is a language whose plan holds something.
type closing struct {
	fickle
	closed *int
}

func (c closing) Plan(ctx context.Context, p *lang.Project) (*lang.Plan, error) {
	plan, err := c.fickle.Plan(ctx, p)
	if err == nil {
		plan.Detail = c
	}
	return plan, err
}

func (c closing) Close() error {
	*c.closed++
	return errors.New("still in use")
}

func TestPlanIsClosed(t *testing.T) {
	closed := 0
	language := closing{fickle{}, &closed}
	p, err := Prepare(context.Background(), Spec{Dir: project(t), CacheDir: t.TempDir(), language: language})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); closed != 1 || err == nil || err.Error() != "still in use" {
		t.Errorf("closed %d times, %v", closed, err)
	}
}
