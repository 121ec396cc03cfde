package kubelet_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/local/kubelet"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

// countedTokens are numbered.
type countedTokens struct{ made *atomic.Int64 }

func (c countedTokens) Token(context.Context, *corev1.Pod, string, time.Duration) (string, error) {
	return fmt.Sprint("token ", c.made.Add(1)), nil
}

// What volumes show of secrets, config maps and tokens changes while the container runs:
// all files of a volume at once, as links into a folder that takes another's place.
func TestVolumesFollow(t *testing.T) {
	made := &atomic.Int64{}
	p := start(t, func(o *kubelet.Options) { o.Tokens = countedTokens{made} })
	p.create(secret("db", "user", "one", "old", "x"))
	p.create(configMap("settings", "level", "debug", "binary", "y"))
	pod := volumePod()
	for _, v := range pod.Spec.Volumes {
		if v.Projected != nil {
			v.Projected.Sources[4].ServiceAccountToken.ExpirationSeconds = new(int64(2))
		}
	}
	at := map[string]string{}
	for _, m := range p.started(pod).Mounts {
		at[m.Target] = m.Source
	}
	read := func(path string) string {
		volume := "/" + strings.Split(path, "/")[1]
		raw, err := os.ReadFile(filepath.Join(at[volume], strings.TrimPrefix(path, volume)))
		if err != nil {
			return ""
		}
		return string(raw)
	}
	p.until("ready", isReady)
	first := read("/all/token")
	eventually(t, "the token is another one before it ends", func() bool { return read("/all/token") > first })
	if link, err := os.Readlink(filepath.Join(at["/secret"], "user")); err != nil || link != "..data/user" {
		t.Errorf("a file of a volume is a link to %q, %v", link, err)
	}
	before, err := os.Readlink(filepath.Join(at["/config"], "..data"))
	if err != nil {
		t.Fatal(err)
	}

	// While a reader follows ..data once, it sees either all old files or all new ones.
	stop, mixed := make(chan struct{}), make(chan string, 1)
	go func() {
		defer close(mixed)
		for {
			select {
			case <-stop:
				return
			default:
			}
			dir, err := filepath.EvalSymlinks(filepath.Join(at["/secret"], "..data"))
			if errors.Is(err, fs.ErrNotExist) {
				continue // the link was read before the change, and its folder looked at after it
			}
			if err != nil {
				mixed <- err.Error()
				return
			}
			user, err := os.ReadFile(filepath.Join(dir, "user"))
			_, added := os.Stat(filepath.Join(dir, "new"))
			if err == nil && string(user) == "one" && added == nil {
				mixed <- "new files beside old ones"
				return
			}
		}
	}()
	changed, _ := store.Get[*corev1.Secret](p.store, "default", "db")
	next := changed.DeepCopy()
	next.Data = map[string][]byte{"user": []byte("two"), "new": []byte("z")}
	if _, err := p.store.Update(next); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change of the secret", func() bool {
		return read("/secret/user") == "two" && read("/secret/new") == "z" && read("/secret/old") == "" && read("/all/user") == "two"
	})
	close(stop)
	if said, ok := <-mixed; ok {
		t.Error(said)
	}
	entries, err := os.ReadDir(at["/secret"])
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "..2") {
			names = append(names, e.Name())
		}
	}
	if want := []string{"..data", "new", "user"}; err != nil || !slices.Equal(names, want) || len(entries) != len(want)+1 {
		t.Errorf("the volume has %v, %v: what was before is there still, or a link to it", entries, err)
	}
	if now, _ := os.Readlink(filepath.Join(at["/config"], "..data")); now != before {
		t.Error("a volume is written whose config map has not changed")
	}

	// What is deleted stays for who runs, and what is wrong is said.
	if _, err := p.store.Delete(p.store.KindOf(changed), "default", "db", 0, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an event about it", func() bool {
		return slices.ContainsFunc(p.events(), func(e string) bool { return strings.Contains(e, `secret "db" not found`) })
	})
	if got := read("/secret/user"); got != "two" {
		t.Errorf("after the secret was deleted: %q", got)
	}
	p.create(secret("db", "user", "three"))
	eventually(t, "the secret that is there again", func() bool { return read("/secret/user") == "three" })
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
