package preflight

import (
	"errors"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/devcluster/internal/cgroup"
	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
)

func good() Facts {
	return Facts{
		OS: "linux", Capabilities: 1<<41 - 1, Namespaces: []string{"ipc", "mnt", "net", "pid", "uts"},
		Filesystems: "nodev\tproc\nnodev\toverlay\n", Cgroups: []cgroup.Hierarchy{{Mount: "/sys/fs/cgroup", V2: true}},
	}
}

func TestCheck(t *testing.T) {
	if err := Check(good()); err != nil {
		t.Errorf("a machine that has everything: %v", err)
	}
	for name, tc := range map[string]struct {
		spoil      func(*Facts)
		what, hint string
	}{
		"not linux":         {func(f *Facts) { f.OS = "darwin" }, "darwin", "virtual machine"},
		"not root":          {func(f *Facts) { f.UID = 1000 }, "uid 1000", "sudo"},
		"plain container":   {func(f *Facts) { f.Capabilities &^= 1 << capSysAdmin }, "CAP_SYS_ADMIN", "--privileged"},
		"no net namespaces": {func(f *Facts) { f.Namespaces = []string{"pid", "mnt"} }, "net", "CONFIG_NAMESPACES"},
		"no overlay":        {func(f *Facts) { f.Filesystems = "nodev\toverlayish\n" }, "overlay", "modprobe"},
		"no cgroups":        {func(f *Facts) { f.Cgroups = nil }, "no cgroup hierarchy", "mount"},
		"no controllers":    {func(f *Facts) { f.MissingControllers = []string{"pids"} }, "pids", "Delegate"},
		"cgroups read-only": {func(f *Facts) { f.ReadOnly = []string{"/sys/fs/cgroup"} }, "/sys/fs/cgroup", "privileged"},
	} {
		t.Run(name, func(t *testing.T) {
			facts := good()
			tc.spoil(&facts)
			var f *fault.Error
			if err := Check(facts); !errors.As(err, &f) {
				t.Fatalf("error = %v", err)
			}
			if !strings.Contains(f.Err.Error(), tc.what) || !strings.Contains(f.Hint, tc.hint) {
				t.Errorf("%v\nwant %q and the hint %q", f, tc.what, tc.hint)
			}
			if fault.ExitCode(f) != 1 {
				t.Errorf("exit code %d, want 1", fault.ExitCode(f))
			}
		})
	}
}

func TestCapEff(t *testing.T) {
	got, err := capEff("Name:\tx\nCapInh:\t0\nCapEff:\t000001fffeffffff\n")
	if err != nil || got != 0x1fffeffffff {
		t.Errorf("%x, %v", got, err)
	}
	if _, err := capEff("Name:\tx\n"); err == nil {
		t.Error("a status without CapEff was read")
	}
}
