package registry_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
)

func TestDelete(t *testing.T) {
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		ref, err := l.client.Push(t.Context(), testImage(t, 1, 1000), tag)
		if err != nil {
			t.Fatal(err)
		}
		if parts, err := l.client.Parts(t.Context(), ref); err != nil || len(parts) != 0 {
			t.Errorf("parts of an image: %v, %v", parts, err)
		}
		if err := l.client.Delete(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if _, err := l.client.Head(t.Context(), ref); fault.KindOf(err) != fault.NotFound {
			t.Errorf("it is still there: %v", err)
		}
		if err := l.client.Delete(t.Context(), ref); fault.KindOf(err) != fault.NotFound {
			t.Errorf("a second time: %v", err)
		}
		if err := l.client.Delete(t.Context(), tag); fault.KindOf(err) != fault.Usage {
			t.Errorf("by tag, which may mean another image by now: %v", err)
		}
	})
}

// A registry in trouble is asked again, and one that deletes nothing is named.
func TestDeleteRefused(t *testing.T) {
	const deletes = regtest.Request("DELETE manifest")
	for _, tt := range []struct {
		status int
		kind   fault.Kind
		hint   string
	}{
		{http.StatusServiceUnavailable, fault.Failure, ""},
		{http.StatusMethodNotAllowed, fault.Failure, "deletes no images for its users"},
		{http.StatusForbidden, fault.Auth, "lacks the permission"},
	} {
		refusal := regtest.Fault{On: deletes, Do: regtest.Status(tt.status)}
		bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
			ref, err := l.client.Push(t.Context(), testImage(t, 1, 1000), tag)
			if err != nil {
				t.Fatal(err)
			}
			err = l.client.Delete(t.Context(), ref)
			if tt.hint == "" {
				if err != nil {
					t.Errorf("%d once: %v", tt.status, err)
				}
				return
			}
			if fault.KindOf(err) != tt.kind || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("%d: %v, %q", tt.status, err, fault.HintOf(err))
			}
			if _, err := l.client.Head(t.Context(), ref); err != nil {
				t.Errorf("%d: it is gone: %v", tt.status, err)
			}
		}, refusal)
	}
}
