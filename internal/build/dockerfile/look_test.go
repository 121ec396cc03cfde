package dockerfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestLook(t *testing.T) {
	for text, want := range map[string]Summary{
		"FROM scratch\n":                            {Base: "scratch", Stages: 1},
		"FROM a\nCMD x y\n":                         {Base: "a", Stages: 1, Command: []string{"/bin/sh", "-c", "x y"}},
		"FROM a\nENTRYPOINT [\"e\"]\nCMD [\"c\"]\n": {Base: "a", Stages: 1, Command: []string{"e", "c"}},
		"ARG V=1\nFROM a:$V AS x\nENTRYPOINT [\"e\"]\nFROM x\nCMD [\"c\"]\n": {Base: "a:1", Stages: 2, Command: []string{"e", "c"}},
		"FROM a\nCMD [\"1\"]\nCMD [\"2\"]\n":                                 {Base: "a", Stages: 1, Command: []string{"2"}},
		"FROM a AS x\nCMD [\"1\"]\nFROM x\nENTRYPOINT [\"e\"]\n":             {Base: "a", Stages: 2, Command: []string{"e"}},
		"FROM b AS x\nCMD [\"no\"]\nFROM a\n":                                {Base: "a", Stages: 2},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, DefaultFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := Look(Spec{Dir: dir})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	if _, err := Look(Spec{Dir: t.TempDir()}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a folder without one: %v", err)
	}
}
