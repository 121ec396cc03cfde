package app

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// answers is a Prompt with the answers to come.
type answers struct {
	next  []string
	asked []string
}

func (a *answers) Ask(_ context.Context, question string) (string, error) {
	a.asked = append(a.asked, question)
	if len(a.next) == 0 {
		return "", errors.New("nobody answers")
	}
	answer := a.next[0]
	a.next = a.next[1:]
	return answer, nil
}

func (a *answers) Secret(ctx context.Context, question string) (string, error) {
	return a.Ask(ctx, question)
}

func TestNewKeyPair(t *testing.T) {
	for name, tt := range map[string]struct {
		env       string
		prompt    *answers
		encrypted string // with this password
		questions int
		says      string
	}{
		"nobody to ask":     {},
		"from environment":  {env: "s3cret", prompt: &answers{}, encrypted: "s3cret"},
		"asked for":         {prompt: &answers{next: []string{"abc", "abc"}}, encrypted: "abc", questions: 2},
		"no password":       {prompt: &answers{next: []string{""}}, questions: 1},
		"a slip of the pen": {prompt: &answers{next: []string{"abc", "abd"}}, questions: 2, says: "the two passwords differ"},
		"gone":              {prompt: &answers{}, questions: 1, says: "nobody answers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			seen := &progresstest.Recorder{}
			a := &App{Progress: seen, Env: func(string) string { return tt.env }}
			if tt.prompt != nil {
				a.Prompt = tt.prompt
			}
			pair, err := a.NewKeyPair(t.Context(), "release")
			if tt.prompt != nil && len(tt.prompt.asked) != tt.questions {
				t.Errorf("asked %q", tt.prompt.asked)
			}
			if tt.says != "" {
				if left, _ := os.ReadDir("."); err == nil || !strings.Contains(err.Error(), tt.says) || len(left) > 0 {
					t.Errorf("%v; left %v", err, left)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if pair.Private != "release.key" || pair.Public != "release.pub" || pair.Encrypted != (tt.encrypted != "") {
				t.Errorf("%+v", pair)
			}
			if warned := len(seen.Texts(progresstest.Note)) > 0; warned == pair.Encrypted {
				t.Errorf("%v", seen.Lines())
			}
			if info, err := os.Stat(pair.Private); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
			text, err := os.ReadFile(pair.Private)
			if err != nil {
				t.Fatal(err)
			}
			key, err := sign.ParsePrivate(pair.Private, text, func() (string, error) { return tt.encrypted, nil })
			if err != nil || key.Public().Fingerprint() != pair.Fingerprint {
				t.Errorf("%v", err)
			}
		})
	}
}

// Neither file is overwritten, and no half of a pair is made.
func TestNewKeyPairOverwritesNothing(t *testing.T) {
	for _, there := range []string{"kn-lite.key", "kn-lite.pub"} {
		t.Chdir(t.TempDir())
		if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		a := &App{Env: func(string) string { return "" }}
		if _, err := a.NewKeyPair(t.Context(), "kn-lite"); fault.KindOf(err) != fault.Conflict || !errors.Is(err, os.ErrExist) {
			t.Errorf("%s: %v", there, err)
		}
		if left, _ := os.ReadDir("."); len(left) != 1 {
			t.Errorf("%s: left %v", there, left)
		}
	}
	a := &App{Env: func(string) string { return "" }}
	if _, err := a.NewKeyPair(t.Context(), "nosuch/kn-lite"); err == nil {
		t.Error("a folder that is not there")
	}
}
