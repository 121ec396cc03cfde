package dockerfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// Whatever a Dockerfile and its rules hold, the answer is a plan or an error of the
// project's own type, and no panic.
func FuzzDockerfile(f *testing.F) {
	for _, seed := range []string{
		"", "ARG VERSION=1\n", "FROM scratch\n", "FROM a AS b\nFROM b\nCOPY --from=0 / /\n", "# syntax=docker/dockerfile:1\nFROM scratch\n",
		"FROM scratch\nRUN <<EOF\necho\nEOF\n", "FROM a\nCOPY <<A <<B /\na\nA\nb\nB\n", "FROM a\nRUN --mount=type=cache,target=/c,id=$X true\n",
		"FROM a\nADD --chmod=7x a b\n", "FROM ${A:-b}\nENV A=$A B\\\n=c\n", "# escape=`\nFROM a\nRUN a `\n b\n", "FROM a\nCMD [\"a\" \"b\"]\nENTRYPOINT [\n",
		"FROM a\nHEALTHCHECK --interval=x CMD a\nONBUILD ONBUILD RUN a\nEXPOSE $P\nLABEL \"\n", "FROM --platform=$X a\nUSER\nVOLUME []\nSHELL []\n", "\ufeffFROM a", "FROM a\nRUN \\\n",
		"FROM a\nCOPY --from=a\n", "FROM a\nWORKDIR ${\n", "\x00", "FROM a\nRUN --network=x --security=y a", "FROM",
	} {
		f.Add([]byte(seed), []byte("*\n!src\n[a\n"))
	}
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, rules []byte) {
		tree, err := source.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		b := &builder{Spec: Spec{Dir: dir, Platform: hostPlatform(), Report: progress.Nop()}, file: DefaultFile, tree: tree}
		b.Args = map[string]string{"A": "$A"}
		if b.plan, err = b.parse(text); err != nil {
			if e, ok := errors.AsType[*fault.Error](err); !ok || !strings.HasPrefix(e.Subject, DefaultFile) && !strings.Contains(e.Error(), "--target") || e.Error() == "" {
				t.Errorf("%q: %#v", text, err)
			}
			return
		}
		if err := os.WriteFile(filepath.Join(dir, ".dockerignore"), rules, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := b.openContext(); err == nil {
			_, _ = b.context.match("a")
			b.context.leaveOut("src/.env", false)
		}
		b.references()
	})
}
