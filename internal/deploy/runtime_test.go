package deploy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestVolumeNamesAreDistinct(t *testing.T) {
	long := "/srv/" + strings.Repeat("x", 60)
	paths := []string{"/etc/app.config", "/etc/app-config", "/etc/app/config", "/etc/App/config", long + "/a", long + "/b", "/", "/ä", "/ö"}
	seen := map[string]string{}
	for _, p := range paths {
		name := volumeName(p)
		if other, taken := seen[name]; taken {
			t.Errorf("%s and %s are both %s", p, other, name)
		}
		seen[name] = p
		if len(name) > maxLabel || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.HasSuffix(name, "-") {
			t.Errorf("%s: %q is no DNS label", p, name)
		}
	}
	if got := volumeName("/etc/app/config"); got != "vol-etc-app-config" || got != volumeName("/etc/app//config/") {
		t.Errorf("the name of a plain path is %s", got)
	}
}

func TestLivenessBringsAStartupProbe(t *testing.T) {
	for _, tt := range []struct {
		budget    time.Duration
		port      int32
		threshold int32
		asked     int32
	}{{0, 0, 300, 8080}, {90 * time.Second, 9000, 90, 9000}, {time.Millisecond, 0, 1, 8080}} {
		svc, err := Desired(nil, Spec{Service: "fn", Image: "reg/fn", Port: tt.port, Project: &Project{Liveness: "/live", StartBudget: tt.budget}})
		if err != nil {
			t.Fatal(err)
		}
		want := &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/live", Port: intstr.FromInt32(tt.asked)}},
			PeriodSeconds: 1, FailureThreshold: tt.threshold,
		}
		if diff := cmp.Diff(want, svc.Spec.Template.Spec.Containers[0].StartupProbe); diff != "" {
			t.Error(diff)
		}
		// It goes as it came.
		if svc, err = Desired(svc, Spec{Service: "fn", Project: &Project{}}); err != nil || svc.Spec.Template.Spec.Containers[0].StartupProbe != nil {
			t.Errorf("without the endpoint there is still a probe (%v)", err)
		}
	}
}

func TestProjectSaysWhoMayReachItAndWhomItRunsAs(t *testing.T) {
	user, nonRoot := int64(1000), true
	svc, err := Desired(nil, Spec{Service: "fn", Image: "reg/fn", Project: &Project{
		Domain: "apps.example.com", ClusterLocal: true, RunAs: RunAs{User: &user, NonRoot: &nonRoot},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if svc.Labels[visibilityLabel] != clusterLocal || svc.Labels["func.domain"] != "apps.example.com" || svc.Spec.Template.Labels[visibilityLabel] != "" {
		t.Errorf("labels %v, of its revisions %v", svc.Labels, svc.Spec.Template.Labels)
	}
	if s := svc.Spec.Template.Spec.Containers[0].SecurityContext; s == nil || *s.RunAsUser != user || !*s.RunAsNonRoot || s.RunAsGroup != nil {
		t.Errorf("security context %v", s)
	}
	svc, err = Desired(svc, Spec{Service: "fn", Project: &Project{}})
	if err != nil || svc.Labels[visibilityLabel] != "" || svc.Labels["func.domain"] != "" || svc.Spec.Template.Spec.Containers[0].SecurityContext != nil {
		t.Errorf("what has left func.yaml is still there: %v, %v", svc, err)
	}
}
