package local

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// program is a platform as far as Start and Stop see it: it takes the lock, says where
// it is, and ends when it is asked to.
const program = `echo begins; exec 9>lock; flock -x 9; echo "{\"pid\": $$, \"api\": \"https://127.0.0.1:1\"}" > new.json; mv new.json platform.json; `

func background(t *testing.T, script string) Background {
	t.Helper()
	place := Place{Dir: t.TempDir()}
	return Background{
		Place: place, Program: "/bin/sh", Args: []string{"-c", "cd " + place.Dir + " && " + script}, Env: os.Environ(),
		Differs: func(*Info) string { return "" },
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestBackground(t *testing.T) {
	b := background(t, program+"exec sleep 60")
	ctx := within(t, 20*time.Second)
	info, already, err := b.Start(ctx)
	if err != nil || already || info.API != "https://127.0.0.1:1" {
		t.Fatalf("%+v, %t, %v", info, already, err)
	}
	again, already, err := b.Start(ctx)
	if err != nil || !already || again.PID != info.PID {
		t.Errorf("a second start: %+v, %t, %v", again, already, err)
	}
	b.Differs = func(*Info) string { return "--port" }
	if _, _, err := b.Start(ctx); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "with another --port") {
		t.Errorf("one that differs: %v", err)
	}
	var log bytes.Buffer
	if err := b.Place.CopyLog(ctx, false, &log); err != nil || log.String() != "begins\n" {
		t.Errorf("log %q, %v", &log, err)
	}
	followed := make(chan error, 1)
	go func() { followed <- b.Place.CopyLog(ctx, true, &bytes.Buffer{}) }()
	if err := info.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-followed; err != nil || ctx.Err() != nil {
		t.Errorf("the log after the platform's end: %v, %v", err, ctx.Err())
	}
	if now, err := b.Place.Running(); now != nil || err != nil {
		t.Errorf("it has stopped: %+v, %v", now, err)
	}
}

// One that ends has said why: its error, or else how it ended.
func TestBackgroundFails(t *testing.T) {
	for script, want := range map[string]struct {
		kind       fault.Kind
		says, hint string
	}{
		`echo some line; echo '{"kind":"Error","reason":"conflict","message":"port 80: taken","hint":"choose another","exitCode":6}'`: {fault.Conflict, "port 80: taken", "choose another"},
		`echo '{"reason":"conflict"}'; exit 3`: {fault.Failure, "it ended at once: exit status 3", "kn-lite local logs"},
		`echo 'no JSON'; exit 4`:               {fault.Failure, "it ended at once: exit status 4", "kn-lite local logs"},
		`kill -9 $$`:                           {fault.Failure, "it ended at once: signal: killed", "kn-lite local logs"},
	} {
		info, _, err := background(t, script).Start(within(t, 20*time.Second))
		if info != nil || fault.KindOf(err) != want.kind || !strings.Contains(err.Error(), want.says) || !strings.Contains(fault.HintOf(err), want.hint) {
			t.Errorf("%s: %v, %v (%s)", script, info, err, fault.HintOf(err))
		}
	}
	b := background(t, "")
	b.Program = "/no/such/program"
	if _, _, err := b.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("no program: %v", err)
	}
	b.Place = Place{}
	if _, _, err := b.Start(t.Context()); fault.KindOf(err) != fault.Usage {
		t.Errorf("no place: %v", err)
	}
}

// One that does not serve in time is killed, and so is one that does not end in time.
func TestBackgroundTooSlow(t *testing.T) {
	b := background(t, "echo $$ > pid; exec sleep 60")
	if _, _, err := b.Start(within(t, 300*time.Millisecond)); fault.KindOf(err) != fault.Timeout {
		t.Errorf("it does not serve: %v", err)
	}
	b = background(t, "trap '' TERM; "+program+"exec sleep 60")
	info, _, err := b.Start(within(t, 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := info.Stop(within(t, 100*time.Millisecond)); fault.KindOf(err) != fault.Timeout || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("it does not end: %v", err)
	}
	for ctx := within(t, 10*time.Second); Alive(info.PID) && ctx.Err() == nil; {
		time.Sleep(time.Millisecond)
	}
	if Alive(info.PID) {
		t.Error("it was not killed")
	}
}

func TestNoLog(t *testing.T) {
	err := Place{Dir: t.TempDir()}.CopyLog(t.Context(), true, &bytes.Buffer{})
	if fault.KindOf(err) != fault.NotFound || !strings.Contains(fault.HintOf(err), "kn-lite local up") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}
