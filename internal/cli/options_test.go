package cli

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/coldstart"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// parse runs a command up to where it would begin its work, and returns the
// options that its flags have become.
func parse[O any](t *testing.T, newCmd func(*Factory, func(context.Context, *O) error) *cobra.Command, args ...string) (*O, error) {
	t.Helper()
	sys, _, _ := testSystem(t)
	var got *O
	cmd := newCmd(newFactory(sys), func(_ context.Context, o *O) error {
		got = o
		return nil
	})
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	wrapArgs(cmd)
	err := cmd.ExecuteContext(t.Context())
	if err == nil && got == nil {
		t.Fatalf("%v: neither an error nor options", args)
	}
	return got, err
}

// optionsCase is one command line and what becomes of it.
type optionsCase[O any] struct {
	args string // separated by single spaces
	want O      // unless it is refused
	says string // of the refusal, which is a usage error
}

func checkOptions[O any](t *testing.T, newCmd func(*Factory, func(context.Context, *O) error) *cobra.Command, cases ...optionsCase[O]) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, tt := range cases {
		args := strings.Split(tt.args, " ")
		if tt.args == "" {
			args = []string{}
		}
		got, err := parse(t, newCmd, args...)
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) || fault.KindOf(err) != fault.Usage {
				t.Errorf("%q: %v, want a usage error that says %q", tt.args, err, tt.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.args, err)
			continue
		}
		unseen := cmp.FilterPath(func(p cmp.Path) bool {
			field, ok := p.Last().(cmp.StructField)
			return ok && field.Name() == "changed"
		}, cmp.Ignore())
		if diff := cmp.Diff(tt.want, *got, unseen, cmpopts.EquateEmpty(), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
			t.Errorf("%q: -want +got:\n%s", tt.args, diff)
		}
	}
}

func TestListOptions(t *testing.T) {
	checkOptions(t, newListCmd,
		optionsCase[listOptions]{args: ""},
		optionsCase[listOptions]{args: "-A", want: listOptions{AllNamespaces: true}},
		optionsCase[listOptions]{args: "--all-namespaces=false"},
		optionsCase[listOptions]{args: "hello", says: "takes no arguments"},
	)
}

func TestDescribeOptions(t *testing.T) {
	checkOptions(t, newDescribeCmd,
		optionsCase[describeOptions]{args: ""},
		optionsCase[describeOptions]{args: "hello --all", want: describeOptions{Service: "hello", All: true}},
		optionsCase[describeOptions]{args: "-s hello", want: describeOptions{Service: "hello"}},
		optionsCase[describeOptions]{args: "hello -s hello", want: describeOptions{Service: "hello"}},
		optionsCase[describeOptions]{args: "hello -s other", says: "which service: hello or other?"},
		optionsCase[describeOptions]{args: "hello other", says: "accepts at most 1"},
	)
}

func TestDeleteOptions(t *testing.T) {
	checkOptions(t, newDeleteCmd,
		optionsCase[deleteOptions]{args: "", want: deleteOptions{Wait: true}},
		optionsCase[deleteOptions]{args: "a b -s c -y --wait=false", want: deleteOptions{Services: []string{"a", "b", "c"}, Yes: true}},
	)
}

func TestLogsOptions(t *testing.T) {
	checkOptions(t, newLogsCmd,
		optionsCase[logsOptions]{args: "", want: logsOptions{Tail: -1}},
		optionsCase[logsOptions]{
			args: "hello -f --revision v2 -c app --since 10m --tail 5",
			want: logsOptions{Service: "hello", Follow: true, Revision: "v2", Container: "app", Since: 600e9, Tail: 5},
		},
		optionsCase[logsOptions]{args: "-p --all-containers", want: logsOptions{Previous: true, All: true, Tail: -1}},
	)
}

func TestInvokeOptions(t *testing.T) {
	plain := func(change func(*invokeOptions)) invokeOptions {
		o := invokeOptions{Path: "/"}
		change(&o)
		return o
	}
	checkOptions(t, newInvokeCmd,
		optionsCase[invokeOptions]{args: "", want: plain(func(*invokeOptions) {})},
		optionsCase[invokeOptions]{args: "hello -d x -X PUT -H A:1 -H B:2 --path /items --content-type text/plain --tag next", want: plain(func(o *invokeOptions) {
			o.Service, o.Data, o.Method, o.Headers, o.Path, o.ContentType, o.Tag = "hello", "x", "PUT", []string{"A:1", "B:2"}, "/items", "text/plain", "next"
		})},
		optionsCase[invokeOptions]{args: "--file - --ingress 127.0.0.1:80 --revision v1 --target remote", want: plain(func(o *invokeOptions) {
			o.File, o.Ingress, o.Revision, o.Target = "-", "127.0.0.1:80", "v1", "remote"
		})},
		optionsCase[invokeOptions]{args: "a b", says: "accepts at most 1"},
	)
}

func TestTrafficOptions(t *testing.T) {
	checkOptions(t, newTrafficShowCmd,
		optionsCase[trafficShowOptions]{args: "hello", want: trafficShowOptions{Service: "hello"}},
		optionsCase[trafficShowOptions]{args: "a -s b", says: "which service: a or b?"},
	)
	split := func(service string, change func(*trafficChange), edit ...traffic.Share) trafficSplitOptions {
		o := trafficSplitOptions{trafficChange: trafficChange{Service: service}, Edit: edit}
		if change != nil {
			change(&o.trafficChange)
		}
		return o
	}
	checkOptions(t, newTrafficSplitCmd,
		optionsCase[trafficSplitOptions]{args: "hello v1=50 v2=50", want: split("hello", nil, traffic.Share{Ref: "v1", Percent: 50}, traffic.Share{Ref: "v2", Percent: 50})},
		optionsCase[trafficSplitOptions]{args: "-s hello @latest=10 v1", want: split("hello", nil, traffic.Share{Ref: traffic.Latest, Percent: 10}, traffic.Share{Ref: "v1", Percent: 90})},
		optionsCase[trafficSplitOptions]{args: "hello v1=100 --dry-run --no-wait --if-generation 7", want: split("hello", func(c *trafficChange) {
			c.DryRun, c.NoWait, c.IfGeneration = true, true, 7
		}, traffic.Share{Ref: "v1", Percent: 100})},
		optionsCase[trafficSplitOptions]{args: "hello --untag old --tag v2=next,v1=old --traffic v1=50%,50", want: func() trafficSplitOptions {
			o := split("hello", nil, traffic.Share{Ref: "v1", Percent: 50}, traffic.Share{Ref: traffic.Latest, Percent: 50})
			o.Untag, o.Tag = []string{"old"}, []traffic.Tagging{{Ref: "v2", Tag: "next"}, {Ref: "v1", Tag: "old"}}
			return o
		}()},
		optionsCase[trafficSplitOptions]{args: "-s hello --to-revisions v1=10,LATEST=20", want: func() trafficSplitOptions {
			o := split("hello", nil, traffic.Share{Ref: "v1", Percent: 10}, traffic.Share{Ref: traffic.Latest, Percent: 20})
			o.Rescale = true
			return o
		}()},
		optionsCase[trafficSplitOptions]{args: "hello --to-tags next=10", want: func() trafficSplitOptions {
			o := split("hello", nil, traffic.Share{Ref: "tag:next", Percent: 10})
			o.Rescale = true
			return o
		}()},
		optionsCase[trafficSplitOptions]{args: "hello --to-latest", want: split("hello", nil, traffic.Share{Ref: traffic.Latest, Percent: 100})},
		optionsCase[trafficSplitOptions]{args: "hello --to-latest --traffic v1=100", says: "both divide the traffic"},
		optionsCase[trafficSplitOptions]{args: "v1=50 --traffic v1=100", says: "not by both"},
		optionsCase[trafficSplitOptions]{args: "hello v1=50 --untag a", says: "accepts at most 1"},
		optionsCase[trafficSplitOptions]{args: "hello --traffic v1=50,v2=40", says: "10 % missing"},
		optionsCase[trafficSplitOptions]{args: "hello --to-revisions v1", says: "not TARGET=PERCENT"},
		optionsCase[trafficSplitOptions]{args: "hello --tag v1", says: "not TARGET=TAG"},
		optionsCase[trafficSplitOptions]{args: "hello", says: "how is the traffic of hello to be split?"},
		optionsCase[trafficSplitOptions]{args: "v1=50 v2=50", says: "which service?"},
		optionsCase[trafficSplitOptions]{args: "hello v1=50", says: "50 % missing"},
		optionsCase[trafficSplitOptions]{args: "hello v1=100 --if-generation 0", says: "generations begin at 1"},
	)
	checkOptions(t, newTrafficShiftCmd,
		optionsCase[trafficShiftOptions]{args: "hello v2 +10", want: trafficShiftOptions{trafficChange: trafficChange{Service: "hello"}, Move: traffic.Move{To: "v2", Percent: 10}}},
		optionsCase[trafficShiftOptions]{args: "-s hello v2=-10", want: trafficShiftOptions{trafficChange: trafficChange{Service: "hello"}, Move: traffic.Move{From: "v2", Percent: 10}}},
		optionsCase[trafficShiftOptions]{args: "hello v1 v2 10%", want: trafficShiftOptions{trafficChange: trafficChange{Service: "hello"}, Move: traffic.Move{From: "v1", To: "v2", Percent: 10}}},
		optionsCase[trafficShiftOptions]{args: "-s hello v1 v2 +10", want: trafficShiftOptions{trafficChange: trafficChange{Service: "hello"}, Move: traffic.Move{From: "v1", To: "v2", Percent: 10}}},
		optionsCase[trafficShiftOptions]{args: "v1 v2 10", says: "which service?"},
		optionsCase[trafficShiftOptions]{args: "hello v2", says: "how much is to move?"},
	)
	checkOptions(t, newTrafficTagCmd,
		optionsCase[trafficTagOptions]{args: "-s hello v2=next", want: trafficTagOptions{trafficChange: trafficChange{Service: "hello"}, Tags: []traffic.Tagging{{Ref: "v2", Tag: "next"}}}},
		optionsCase[trafficTagOptions]{args: "-s hello v2", says: "not TARGET=TAG"},
	)
	checkOptions(t, newTrafficHistoryCmd,
		optionsCase[trafficHistoryOptions]{args: "hello", want: trafficHistoryOptions{Service: "hello"}},
	)
	checkOptions(t, newTrafficUndoCmd,
		optionsCase[trafficUndoOptions]{args: "hello --steps 3 --dry-run", want: trafficUndoOptions{trafficChange: trafficChange{Service: "hello", DryRun: true}, Undo: traffic.Undo{Steps: 3}}},
		optionsCase[trafficUndoOptions]{args: "-s hello --to 14", want: trafficUndoOptions{trafficChange: trafficChange{Service: "hello"}, Undo: traffic.Undo{To: 14}}},
		optionsCase[trafficUndoOptions]{args: "--steps 0", says: "at least one step"},
		optionsCase[trafficUndoOptions]{args: "--steps 1 --to 2", says: "both say how far"},
	)
	checkOptions(t, newTrafficUntagCmd,
		optionsCase[trafficUntagOptions]{args: "-s hello a b", want: trafficUntagOptions{trafficChange: trafficChange{Service: "hello"}, Tags: []string{"a", "b"}}},
		optionsCase[trafficUntagOptions]{args: "-s hello", says: "requires at least 1"},
	)
}

// An operation of the packages below names no flag; what cli adds is for that
// operation and kind alone.
func TestHintsNameFlags(t *testing.T) {
	err := fault.New(fault.Transient, "ingress.dial", "x", "no way").WithHint("give another address")
	if got := hintOf(err); got != "give another address\n--ingress HOST:PORT or KN_LITE_INGRESS names it" {
		t.Error(got)
	}
	if got := hintOf(fault.New(fault.Transient, "ingress.dial", "x", "no way")); got != "--ingress HOST:PORT or KN_LITE_INGRESS names it" {
		t.Error(got)
	}
	for _, other := range []error{errors.New("x"), fault.New(fault.Usage, "ingress.dial", "", "x"), fault.New(fault.Transient, "x.y", "", "x")} {
		if got := hintOf(other); got != "" {
			t.Errorf("%v: %q", other, got)
		}
	}
	for at, hint := range flagHints() {
		if !slices.ContainsFunc(strings.Fields(hint), func(word string) bool { return strings.HasPrefix(strings.Trim(word, "(,`"), "--") }) || strings.ContainsAny(at.op, " ") {
			t.Errorf("%v: %q names no flag", at, hint)
		}
	}
}

// Options in braces become flags, wherever the hint is shown; other braces stay.
func TestOptionsBecomeFlags(t *testing.T) {
	inner := fault.New(fault.Timeout, "registry.push", "x", "timed out").WithHint("give it longer with {Timeout}, or {BaseImage} a{b}")
	err := fmt.Errorf("while pushing: %w", inner)
	if got := hintOf(err); got != "give it longer with --timeout, or --base-image a{b}" {
		t.Error(got)
	}
	for output, want := range map[string]string{"table": "longer with --timeout", "json": `longer with --timeout`, eventsOutput: `longer with --timeout`} {
		sys, _, stderr := testSystem(t)
		f := newFactory(sys)
		f.Flags.Output = output
		f.report(t.Context(), err)
		if !strings.Contains(stderr.String(), want) || strings.Contains(stderr.String(), "{Timeout}") {
			t.Errorf("-o %s: %s", output, stderr)
		}
	}
	sys, _, _ := testSystem(t)
	root := newRootCmd(newFactory(sys))
	for option, flag := range optionFlags() {
		if name, _, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "="); !hasFlag(root, name) {
			t.Errorf("%s: no command has the flag %s", option, flag)
		}
	}
	for op, option := range subjectOptions() {
		if optionFlags()[option] == "" {
			t.Errorf("%s: %s has no flag", op, option)
		}
	}
	if got := withFlags(fault.New(fault.Usage, "dockerfile.target", "nope", "there is no such stage")).Error(); got != "--target nope: there is no such stage" {
		t.Error(got)
	}
}

func hasFlag(cmd *cobra.Command, name string) bool {
	return cmd.Flags().Lookup(name) != nil || cmd.PersistentFlags().Lookup(name) != nil ||
		slices.ContainsFunc(cmd.Commands(), func(child *cobra.Command) bool { return hasFlag(child, name) })
}

func TestRevisionOptions(t *testing.T) {
	checkOptions(t, newRevisionListCmd,
		optionsCase[revisionListOptions]{args: "hello", want: revisionListOptions{Service: "hello"}},
		optionsCase[revisionListOptions]{args: "a -s b", says: "which service: a or b?"},
	)
	checkOptions(t, newRevisionDescribeCmd,
		optionsCase[revisionDescribeOptions]{args: "v2 -s hello", want: revisionDescribeOptions{Service: "hello", Ref: "v2"}},
		optionsCase[revisionDescribeOptions]{args: "v2 v3", says: "accepts 1 arg"},
	)
	checkOptions(t, newRevisionDeleteCmd,
		optionsCase[revisionDeleteOptions]{args: "v2 v3 -y --images -s hello", want: revisionDeleteOptions{Service: "hello", Refs: []string{"v2", "v3"}, Yes: true, Images: true}},
		optionsCase[revisionDeleteOptions]{args: "", says: "requires at least 1 arg"},
	)
	checkOptions(t, newRevisionGCCmd,
		optionsCase[revisionGCOptions]{args: "hello", want: revisionGCOptions{Service: "hello", Keep: 5}},
		optionsCase[revisionGCOptions]{args: "hello --keep 0 --younger-than 7d --dry-run", want: revisionGCOptions{Service: "hello", YoungerThan: 7 * 24 * 3600e9, DryRun: true}},
		optionsCase[revisionGCOptions]{args: "hello --younger-than 36h", want: revisionGCOptions{Service: "hello", Keep: 5, YoungerThan: 36 * 3600e9}},
		optionsCase[revisionGCOptions]{args: "hello --keep -1", says: "must not be negative"},
		optionsCase[revisionGCOptions]{args: "hello --younger-than -3d", says: "not an age"},
		optionsCase[revisionGCOptions]{args: "hello --younger-than 0s", says: "not an age"},
	)
}

func TestColdStartOptions(t *testing.T) {
	checkOptions(t, newColdStartCmd,
		optionsCase[coldStartOptions]{args: "hello", want: coldStartOptions{Service: "hello", Rounds: 5, Path: "/"}},
		optionsCase[coldStartOptions]{args: "--revision v1,v2 --revision @latest --rounds 2 --path /x?y=1 --budget p95=1.5s,max=2s", want: coldStartOptions{
			Revisions: []string{"v1", "v2", "@latest"}, Rounds: 2, Path: "/x?y=1",
			Budget: []coldstart.Limit{{Figure: "p95", Most: 1500e6}, {Figure: "max", Most: 2e9}},
		}},
		optionsCase[coldStartOptions]{args: "--rounds 0", says: "use a number from 1 to 100"},
		optionsCase[coldStartOptions]{args: "--rounds 101", says: "use a number from 1 to 100"},
		optionsCase[coldStartOptions]{args: "--budget p95", says: "names no figure"},
		optionsCase[coldStartOptions]{args: "a b", says: "accepts at most 1"},
	)
}
