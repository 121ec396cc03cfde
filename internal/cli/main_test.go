package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/term"
)

// testSystem is a System with buffers for streams and an empty environment.
func testSystem(t *testing.T, args ...string) (sys *System, stdout, stderr *bytes.Buffer) {
	t.Helper()
	streams, stdout, stderr := term.Test()
	home := t.TempDir()
	return &System{
		Args: append([]string{"kn-lite"}, args...),
		IO:   streams,
		Env:  func(k string) string { return map[string]string{"HOME": home}[k] },
		Dir:  func() (string, error) { return home, nil },
		Now:  func() time.Time { return time.Unix(0, 0) },
	}, stdout, stderr
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		args []string
		want string // part of stderr
	}{
		{[]string{"verison"}, "did you mean `kn-lite version`?"},
		{[]string{"version", "extra"}, "takes no arguments, got extra"},
		{[]string{"version", "-o", "xml"}, "use table, json, yaml"},
		{[]string{"version", "--color", "mauve"}, "use auto, always or never"},
		{[]string{"version", "--nope"}, "see `kn-lite version --help`"},
		{[]string{"version", "--timeout", "soon"}, "invalid duration"},
		{[]string{"version", "-o", "jsonpath={.x"}, "-o jsonpath"},
		{[]string{"version", "-o", "go-template={{"}, "-o go-template"},
	}
	for _, tt := range tests {
		sys, stdout, stderr := testSystem(t, tt.args...)
		if code := Main(context.Background(), sys); code != 2 {
			t.Errorf("%v: exit %d, want 2", tt.args, code)
		}
		if !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%v: stderr %q lacks %q", tt.args, stderr, tt.want)
		}
		if stdout.Len() > 0 {
			t.Errorf("%v: an error wrote to stdout: %q", tt.args, stdout)
		}
	}
}

func TestOutputFormats(t *testing.T) {
	object := map[string]any{"apiVersion": apiVersion, "name": "hello", "traffic": []int{60, 40}}
	tests := []struct{ flag, want string }{
		{"", "a table\n"},
		{"table", "a table\n"},
		{"name", "service/hello\n"},
		{"yaml", "apiVersion: kn-lite.dev/v1\nname: hello\ntraffic:\n- 60\n- 40\n"},
		{"jsonpath={.name}", "hello\n"},
		{"jsonpath=.traffic[1]", "40\n"},
		{"go-template={{.name}}: {{index .traffic 0}}", "hello: 60\n"},
	}
	for _, tt := range tests {
		sys, stdout, _ := testSystem(t)
		f := newFactory(sys)
		f.Flags.Output = tt.flag
		err := f.print(answer{
			Object: object,
			Names:  []string{"service/hello"},
			Table:  func() error { return f.IO.Answer("a table") },
		})
		if err != nil {
			t.Fatalf("%s: %v", tt.flag, err)
		}
		if diff := cmp.Diff(tt.want, stdout.String()); diff != "" {
			t.Errorf("%s: %s", tt.flag, diff)
		}
	}
}

func TestExitCodes(t *testing.T) {
	tests := []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{fault.Usagef("x"), 2},
		{fault.New(fault.Partial, "", "", "x"), 3},
		{fault.New(fault.Auth, "", "", "x"), 4},
		{fault.New(fault.NotFound, "", "", "x"), 5},
		{fault.New(fault.Conflict, "", "", "x"), 6},
		{fault.New(fault.Build, "", "", "x"), 7},
		{fmt.Errorf("waiting: %w", context.DeadlineExceeded), 8},
		{fault.New(fault.RolledBack, "", "", "x"), 9},
		{fault.New(fault.Transient, "", "", "x"), 75},
		{&fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}, 0},
		// A server that went away while a request was sent to it.
		{&net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}, 1},
		{fault.New(fault.Transient, "", "", "%w", &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}), 75},
		{&fs.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}, 1},
	}
	for _, tt := range tests {
		sys, _, _ := testSystem(t)
		if got := newFactory(sys).report(context.Background(), tt.err); got != tt.want {
			t.Errorf("%v: exit %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestErrorsAreJSONWhereTheAnswerIs(t *testing.T) {
	sys, _, stderr := testSystem(t)
	f := newFactory(sys)
	f.Flags.Output = "json"
	f.report(context.Background(), fault.New(fault.Auth, "registry.push", "reg.example/me/fn", "401 Unauthorized").WithHint("log in"))
	var got map[string]any
	if err := json.Unmarshal(stderr.Bytes(), &got); err != nil {
		t.Fatalf("%v in %q", err, stderr)
	}
	want := map[string]any{
		"apiVersion": apiVersion, "kind": "Error", "reason": "auth", "op": "registry.push",
		"subject": "reg.example/me/fn", "message": "reg.example/me/fn: 401 Unauthorized", "hint": "log in", "exitCode": 4.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestInterruptedIs130(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	sys, _, stderr := testSystem(t)
	if got := newFactory(sys).report(ctx, fmt.Errorf("pushing: %w", context.Canceled)); got != 130 {
		t.Errorf("exit %d, want 130", got)
	}
	if got := stderr.String(); got != "error: interrupted\n" {
		t.Errorf("stderr = %q", got)
	}
}

// Help of every command has examples and exit codes: it is the manual that
// people have at hand.
func TestEveryCommandHasHelp(t *testing.T) {
	sys, _, _ := testSystem(t)
	root := newRootCmd(newFactory(sys))
	var visit func(path string)
	visit = func(path string) {
		sys, stdout, _ := testSystem(t, append(strings.Fields(path)[1:], "--help")...)
		if code := Main(context.Background(), sys); code != 0 {
			t.Errorf("%s --help: exit %d", path, code)
		}
		if !strings.Contains(stdout.String(), "Exit status:") {
			t.Errorf("%s --help has no exit codes", path)
		}
		cmd, _, err := root.Find(strings.Fields(path)[1:])
		if err != nil {
			t.Fatal(err)
		}
		if cmd.Runnable() && !cmd.HasSubCommands() && !strings.Contains(stdout.String(), "Examples:") {
			t.Errorf("%s --help has no examples", path)
		}
		for _, child := range cmd.Commands() {
			if child.IsAvailableCommand() && child.Name() != "completion" && child.Name() != "help" {
				visit(child.CommandPath())
			}
		}
	}
	visit("kn-lite")
}

// A mistake of ours is said to be one, with what a report needs, and not a stack trace.
func TestPanicIsReported(t *testing.T) {
	for _, output := range []string{"table", "json"} {
		sys, stdout, stderr := testSystem(t, "func", "create", filepath.Join(t.TempDir(), "hello"), "-l", "go", "-o", output)
		sys.Now = func() time.Time { panic("boom") }
		if code := Main(context.Background(), sys); code != 1 {
			t.Errorf("exit %d, want 1", code)
		}
		for _, want := range []string{"kn-lite has a mistake: boom", "https://github.com/kn-lite/kn-lite/issues", "internal/cli.runFuncCreate func_create.go:"} {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("-o %s: stderr %q lacks %q", output, stderr, want)
			}
		}
		if stdout.Len() > 0 || strings.Contains(stderr.String(), "goroutine ") {
			t.Errorf("-o %s: stdout %q, stderr %q", output, stdout, stderr)
		}
	}
}
