package cli

import (
	"testing"

	"github.com/kn-lite/kn-lite/internal/app"
)

func TestRunOptions(t *testing.T) {
	checkOptions(t, newRunCmd,
		optionsCase[runOptions]{args: "", want: runOptions{Dir: ".", Port: 8080}},
		optionsCase[runOptions]{args: "apps/hello --port 0", want: runOptions{Dir: "apps/hello", ExactPort: true}},
		optionsCase[runOptions]{args: "-e A=b=c -e B- -e C=", want: runOptions{Dir: ".", Port: 8080, Env: []app.Variable{{Name: "A", Value: "b=c"}, {Name: "B", Unset: true}, {Name: "C"}}}},
		optionsCase[runOptions]{args: "--port 65536", says: "--port 65536: a port is a number up to 65535"},
		optionsCase[runOptions]{args: "--env A", says: "use NAME=VALUE, or NAME- to leave it unset"},
		optionsCase[runOptions]{args: "--env =1", says: "--env =1: use NAME=VALUE"},
		optionsCase[runOptions]{args: "--env -", says: "use NAME=VALUE"},
		optionsCase[runOptions]{args: "a b", says: "accepts at most 1"},
	)
}

// The variable PORT counts where the flag is not given, and need not be had.
func TestChoosePort(t *testing.T) {
	for _, tt := range []struct {
		flag     int
		given    bool
		variable string
		port     int
		exact    bool
	}{
		{0, false, "", 8080, false},
		{0, false, "9090", 9090, false},
		{9091, true, "9090", 9091, true},
		{9091, true, "none", 9091, true},
	} {
		port, exact, err := choosePort(tt.flag, tt.given, tt.variable)
		if port != tt.port || exact != tt.exact || err != nil {
			t.Errorf("%+v: %d, %t, %v", tt, port, exact, err)
		}
	}
	for _, variable := range []string{"none", "-1", "70000"} {
		if _, _, err := choosePort(0, false, variable); err == nil || err.Error() != "the variable PORT, "+variable+": a port is a number up to 65535" {
			t.Errorf("%s: %v", variable, err)
		}
	}
}
