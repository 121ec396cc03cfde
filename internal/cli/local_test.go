package cli

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/local"
)

func TestLocalOptions(t *testing.T) {
	up := func(change func(*localUpOptions), given ...string) localUpOptions {
		o := localUpOptions{Port: local.DefaultPort, APIPort: local.DefaultAPIPort, Network: local.NetworkOpen, Given: map[string]bool{}}
		if change != nil {
			change(&o)
		}
		for _, flag := range given {
			o.Given[flag] = true
		}
		return o
	}
	checkOptions(t, newLocalUpCmd,
		optionsCase[localUpOptions]{args: "", want: up(nil)},
		optionsCase[localUpOptions]{args: "-d --port 0 --api-port 1 --network none --autoscaler a=1,b=2", want: up(func(o *localUpOptions) {
			o.Detach, o.Port, o.APIPort, o.Network, o.Autoscaler = true, 0, 1, "none", map[string]string{"a": "1", "b": "2"}
		}, "detach", "port", "api-port", "network", "autoscaler")},
		optionsCase[localUpOptions]{args: "--port -1", says: "--port -1: a port is between 0 and 65535"},
		optionsCase[localUpOptions]{args: "--api-port 65536", says: "--api-port 65536"},
		optionsCase[localUpOptions]{args: "--network some", says: "use open or none"},
		optionsCase[localUpOptions]{args: "x", says: "takes no arguments"},
	)
	checkOptions(t, newLocalDownCmd,
		optionsCase[localDownOptions]{args: ""},
		optionsCase[localDownOptions]{args: "--purge", want: localDownOptions{Purge: true}},
	)
}

// A platform that runs already will do unless a flag that was given says otherwise.
func TestDiffersFrom(t *testing.T) {
	info := &local.Info{Address: "127.0.0.1:7080", API: "https://127.0.0.1:7443", Network: "open"}
	for _, tt := range []struct {
		o    localUpOptions
		want string
	}{
		{localUpOptions{}, ""},
		{localUpOptions{Port: 8000, APIPort: 1, Network: "none"}, ""}, // defaults, not given
		{localUpOptions{Port: 7080, APIPort: 7443, Network: "open", Given: map[string]bool{"port": true, "api-port": true, "network": true}}, ""},
		{localUpOptions{Given: map[string]bool{"port": true, "api-port": true}}, ""}, // any free one
		{localUpOptions{Port: 8000, Given: map[string]bool{"port": true}}, "--port"},
		{localUpOptions{APIPort: 8000, Given: map[string]bool{"api-port": true}}, "--api-port"},
		{localUpOptions{Network: "none", Given: map[string]bool{"network": true}}, "--network"},
		{localUpOptions{Given: map[string]bool{"autoscaler": true}}, "--autoscaler"},
	} {
		if got := tt.o.differsFrom(info); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.o, got, tt.want)
		}
	}
}

// What runs in the background is this command with the same flags, in the foreground.
func TestForegroundIsTheSameCommand(t *testing.T) {
	sys, _, _ := testSystem(t)
	f := newFactory(sys)
	f.Flags.Kubeconfig, f.Flags.Verbose = "/k", true
	o := &localUpOptions{Detach: true, Port: 8000, APIPort: 8001, Network: "none", Autoscaler: map[string]string{"b": "2", "a": "1"}}
	args := o.foreground(f)
	if want := "local up --port 8000 --api-port 8001 --network none --output json --no-input --color never --autoscaler a=1 --autoscaler b=2 --kubeconfig /k --verbose"; strings.Join(args, " ") != want {
		t.Errorf("%q", args)
	}
	root := newRootCmd(f)
	cmd, rest, err := root.Find(args)
	if err != nil || cmd.CommandPath() != "kn-lite local up" {
		t.Fatalf("%v, %v", cmd, err)
	}
	got := &localUpOptions{}
	fresh := newLocalUpCmd(f, func(_ context.Context, o *localUpOptions) error { got = o; return nil })
	parent := &cobra.Command{Use: "kn-lite"}
	addGlobalFlags(parent, f)
	parent.AddCommand(fresh)
	parent.SetArgs(append([]string{"up"}, rest...))
	if err := parent.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got.Detach || got.Port != 8000 || got.APIPort != 8001 || got.Network != "none" || len(got.Autoscaler) != 2 || !slices.Equal(rest, args[2:]) {
		t.Errorf("%+v", got)
	}
}

func TestLocalStatusView(t *testing.T) {
	sys, stdout, stderr := testSystem(t, "local", "status", "-o", "json")
	if code := Main(context.Background(), sys); code != 5 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if !strings.Contains(stdout.String(), `"running": false`) || !strings.Contains(stderr.String(), "the platform of this machine does not run") {
		t.Errorf("stdout %s, stderr %s", stdout, stderr)
	}
}
