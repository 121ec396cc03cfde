package python

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang"
)

func inputs(t *testing.T, files map[string]string, environ ...string) *lang.Inputs {
	t.Helper()
	p, _ := open(t, files)
	p.Environ = lang.With(p.Environ, environ...)
	plan, err := Language{}.Plan(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	in, err := Language{}.Inputs(context.Background(), p, plan)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestInputs(t *testing.T) {
	plain := inputs(t, map[string]string{"main.py": "", projectFile: ""})
	if plain.Unknown != "" || len(plain.Facts) > 0 || len(plain.Files) != 2 {
		t.Errorf("without requirements nothing of pip counts: %+v", plain)
	}
	for _, name := range []string{".venv", "a/__pycache__", ".git", ".env"} {
		if out, _ := plain.Folders[0].Skip(name, true); !out {
			t.Errorf("%s counts", name)
		}
	}
	if out, _ := plain.Folders[0].Skip("main.py", false); out {
		t.Error("main.py does not count")
	}
	open := inputs(t, map[string]string{"main.py": "", requirementsFile: "flask\n"})
	if !strings.Contains(open.Unknown, "requirements.txt leaves versions open") {
		t.Errorf("unknown = %q", open.Unknown)
	}
}

// A setting of pip counts, in a variable too, but for those that say how pip
// reaches an index.
func TestInputsOfPip(t *testing.T) {
	if _, err := findPython(); err != nil {
		t.Skip("there is no python3")
	}
	in := inputs(t, map[string]string{"main.py": "", requirementsFile: "flask==3.0.0\n"})
	if in.Unknown != "" || len(in.Facts) == 0 || !strings.HasPrefix(in.Facts[0].Value, "3.") {
		t.Errorf("%+v", in)
	}
	p, _ := open(t, map[string]string{requirementsFile: "--extra-index-url https://me:${INDEX_PASSWORD}@index.example/simple\nflask==3.0.0\n"})
	variables := Language{}.Variables(p)
	environ := []string{"PIP_INDEX_URL=https://index.example", "PIP_CACHE_DIR=/elsewhere", "INDEX_PASSWORD=canary", "STAGE=canary"}
	seen, withheld := variables.Select(environ)
	if !slices.Contains(seen, "INDEX_PASSWORD=canary") || !slices.Equal(withheld, []string{"STAGE"}) {
		t.Errorf("sees %v and not %v", seen, withheld)
	}
	if facts := variables.Facts(environ); len(facts) != 1 || facts[0].Name != "PIP_INDEX_URL" {
		t.Errorf("%v", facts)
	}
}
