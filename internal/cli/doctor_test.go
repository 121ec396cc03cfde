package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/doctor"
)

func TestDoctorText(t *testing.T) {
	got := doctorText([]doctor.Finding{
		{Name: "settings", Result: doctor.OK, Detail: "fine"},
		{Name: "kubeconfig", Result: doctor.Fail, Detail: "one\ntwo", Fix: "do this\nor that"},
		{Name: "knative", Result: doctor.Skip, Detail: "needs kubeconfig", After: "kubeconfig"},
		{Name: "pull", Result: doctor.Skip, Detail: "no function in this folder"},
		{Name: "rights", Result: doctor.Skip, Detail: "needs knative", After: "knative"},
	})
	want := `ok    settings     fine
fail  kubeconfig   one
                   two
                   do this
                   or that
skip  pull         no function in this folder
skip  knative, rights: each needs a check above`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDoctorOptions(t *testing.T) {
	checkOptions(t, newDoctorCmd, optionsCase[doctorOptions]{args: ""}, optionsCase[doctorOptions]{args: "--authfile x.json"},
		optionsCase[doctorOptions]{args: "now", says: "takes no arguments"})
}
