package autoscale_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/autoscale"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

// Settings end up where a cluster has them, beside those that are there.
func TestConfigure(t *testing.T) {
	s, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	data := func() map[string]string {
		settings, ok := store.Get[*corev1.ConfigMap](s, "knative-serving", "config-autoscaler")
		if !ok {
			return nil
		}
		return settings.Data
	}
	for _, wrong := range []map[string]string{
		{"scale-to-zero-grace": "6s"},
		{"scale-to-zero-grace-period": "soon"},
		{"stable-window": "1s"},
	} {
		if err := autoscale.Configure(s, wrong); fault.KindOf(err) != fault.Usage || data() != nil {
			t.Errorf("%v: %v, settings %v", wrong, err, data())
		}
	}
	if err := autoscale.Configure(s, map[string]string{"stable-windw": "6s"}); !strings.Contains(fault.HintOf(err), "stable-window") {
		t.Errorf("the hint on an unknown key: %q", fault.HintOf(err))
	}
	for _, right := range []map[string]string{{"stable-window": "6s"}, {"scale-to-zero-grace-period": "1s"}, nil} {
		if err := autoscale.Configure(s, right); err != nil {
			t.Fatal(err)
		}
	}
	if got := data(); got["stable-window"] != "6s" || got["scale-to-zero-grace-period"] != "1s" {
		t.Errorf("settings: %v", got)
	}
	if _, ok := store.Get[*corev1.Namespace](s, "", "knative-serving"); !ok {
		t.Error("their namespace is missing")
	}
}
