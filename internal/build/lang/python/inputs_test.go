package python

import (
	"context"
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

// A setting of pip counts, and its value is not told: it may hold a password.
func TestInputsOfPip(t *testing.T) {
	if _, err := findPython(); err != nil {
		t.Skip("there is no python3")
	}
	files := map[string]string{"main.py": "", requirementsFile: "flask==3.0.0\n"}
	one := inputs(t, files, "PIP_INDEX_URL=https://me:canary@index.example")
	two := inputs(t, files, "PIP_INDEX_URL=https://me:canary@other.example")
	values := func(in *lang.Inputs) (text string) {
		for _, f := range in.Facts {
			text += f.Name + "=" + f.Value + "\n"
		}
		return text
	}
	if one.Unknown != "" || values(one) == values(two) || strings.Contains(values(one), "canary") || !strings.Contains(values(one), "python and pip=3.") {
		t.Errorf("%s\n%s", values(one), values(two))
	}
}
