package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// TestCheckPod tells rights from admission: both are 403 with the same details.
func TestCheckPod(t *testing.T) {
	refusal := status(http.StatusForbidden, metav1.StatusReasonForbidden, `pods "p" is forbidden: User "u" cannot create resource "pods": violates something`, &metav1.StatusDetails{Kind: "pods"})
	for name, test := range map[string]struct {
		refused, may bool
		admission    bool
		kind         fault.Kind
	}{
		"admitted":  {},
		"no right":  {refused: true, kind: fault.Auth},
		"admission": {refused: true, may: true, admission: true, kind: fault.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			c := stub(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
					answer(w, http.StatusCreated, map[string]any{"status": map[string]any{"allowed": test.may}})
				case r.URL.Query().Get("dryRun") != "All":
					t.Error("a pod would have been made")
				case test.refused:
					answer(w, http.StatusForbidden, refusal)
				default:
					answer(w, http.StatusCreated, corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}})
				}
			})
			admission, err := c.CheckPod(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}})
			if admission != test.admission || (err != nil) != test.refused || err != nil && fault.KindOf(err) != test.kind {
				t.Errorf("admission %v, %v (%v)", admission, err, fault.KindOf(err))
			}
		})
	}
}

// TestDeleteJobWaits until the job is gone, with the pods before it.
func TestDeleteJobWaits(t *testing.T) {
	var mu sync.Mutex
	asked := 0
	c := stub(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.URL.Path != "/apis/batch/v1/namespaces/ns/jobs/j":
			t.Errorf("asked for %s", r.URL.Path)
		case r.Method == http.MethodDelete:
			var o metav1.DeleteOptions
			if err := json.NewDecoder(r.Body).Decode(&o); err != nil || o.PropagationPolicy == nil || *o.PropagationPolicy != metav1.DeletePropagationForeground {
				t.Errorf("the deletion does not wait for the pods: %v", o)
			}
			answer(w, http.StatusOK, map[string]any{"apiVersion": "batch/v1", "kind": "Job"})
		case asked < 2:
			asked++
			answer(w, http.StatusOK, map[string]any{"apiVersion": "batch/v1", "kind": "Job"})
		default:
			answer(w, http.StatusNotFound, status(http.StatusNotFound, metav1.StatusReasonNotFound, "gone", &metav1.StatusDetails{Kind: "jobs", Name: "j"}))
		}
	})
	if err := c.DeleteJob(t.Context(), "j"); err != nil || asked != 2 {
		t.Errorf("%v after %d questions", err, asked)
	}
}

func TestDeleteWhatIsNotThere(t *testing.T) {
	c := stub(t, func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, status(http.StatusNotFound, metav1.StatusReasonNotFound, "gone", &metav1.StatusDetails{Name: "x"}))
	})
	if err := errors.Join(c.DeleteJob(t.Context(), "x"), c.DeleteSecret(t.Context(), "x")); err != nil {
		t.Error(err)
	}
}

func TestLocalRegistry(t *testing.T) {
	config := func(value string) any {
		return corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, Data: map[string]string{"localRegistryHosting.v1": value}}
	}
	for name, test := range map[string]struct {
		code   int
		object any
		want   *LocalRegistry
		kind   fault.Kind
		fails  bool
	}{
		"kind":      {code: http.StatusOK, object: config("host: \"localhost:5001\"\nhostFromClusterNetwork: \"kind-registry:5000\"\nhelp: \"https://…\"\n"), want: &LocalRegistry{"localhost:5001", "kind-registry:5000"}},
		"one name":  {code: http.StatusOK, object: config(`host: "registry.lab"`), want: &LocalRegistry{Host: "registry.lab"}},
		"empty":     {code: http.StatusOK, object: config("")},
		"none":      {code: http.StatusNotFound, object: status(http.StatusNotFound, metav1.StatusReasonNotFound, "no", &metav1.StatusDetails{Name: "x"})},
		"nonsense":  {code: http.StatusOK, object: config("- a\n- b"), fails: true, kind: fault.Usage},
		"not to us": {code: http.StatusForbidden, object: status(http.StatusForbidden, metav1.StatusReasonForbidden, "no", &metav1.StatusDetails{Kind: "configmaps"}), fails: true, kind: fault.Auth},
	} {
		t.Run(name, func(t *testing.T) {
			c := stub(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/api/v1/namespaces/kube-public/configmaps/local-registry-hosting" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				answer(w, test.code, test.object)
			})
			got, err := c.LocalRegistry(t.Context())
			if diff := cmp.Diff(test.want, got); diff != "" || (err != nil) != test.fails || test.fails && fault.KindOf(err) != test.kind {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}

// TestFollowLogGoesOn after a cut where it was, and after the end of the
// container reads what is left.
func TestFollowLogGoesOn(t *testing.T) {
	line := func(second int, text string) string {
		return fmt.Sprintf("2026-01-01T00:00:%02d.5Z %s\n", second, text)
	}
	var mu sync.Mutex
	times := 0
	ended := make(chan struct{})
	c := stub(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		times++
		n := times
		mu.Unlock()
		since := r.URL.Query().Get("sinceTime")
		switch n {
		case 1:
			_, _ = w.Write([]byte(line(1, "one") + line(2, "two")))
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			panic(http.ErrAbortHandler) // the connection breaks
		case 2:
			if since != "2026-01-01T00:00:02Z" {
				t.Errorf("the second request asks for lines since %q", since)
			}
			_, _ = w.Write([]byte(line(2, "two") + line(3, "three")))
			close(ended)
		default:
			_, _ = w.Write([]byte(line(3, "three") + line(4, "four")))
		}
	})
	var got []string
	err := c.FollowLog(t.Context(), "p", "build", ended, func(text string) error { got = append(got, text); return nil })
	if diff := cmp.Diff([]string{"one", "two", "three", "four"}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}
