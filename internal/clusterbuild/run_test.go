package clusterbuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/clusterbuild/fakecluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

const digest = "sha256:0000000000000000000000000000000000000000000000000000000000000001"

// expectEvents checks that each of wants, a kind and a text, has been reported.
func expectEvents(t *testing.T, report *progresstest.Recorder, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if lines := report.Lines(); !slices.Contains(lines, want) {
			t.Errorf("%q was not reported, but %q", want, lines)
		}
	}
}

// builder is a program as the pod of a build runs it; work is its RUN.
func builder(t *testing.T, work func(ctx context.Context, dir string, order *Order, log *Log) error) fakecluster.Program {
	t.Helper()
	dir := t.TempDir()
	return func(ctx context.Context, in io.Reader, out io.Writer) corev1.ContainerStateTerminated {
		ctx, client := Accept(ctx, in, time.Minute)
		log := NewLog(out)
		log.Ready()
		order, err := client.Receive(ctx, dir)
		if err == nil {
			log.Taken()
			go client.Watch()
			err = work(ctx, dir, order, log)
		}
		if err != nil {
			return corev1.ContainerStateTerminated{ExitCode: 1, Message: string(Verdict("", err))}
		}
		log.Result([]Platform{{Platform: "linux/amd64"}})
		return corev1.ContainerStateTerminated{Message: string(Verdict(digest, nil))}
	}
}

// died is a program that has ended in some way.
func died(end corev1.ContainerStateTerminated) fakecluster.Program {
	return func(context.Context, io.Reader, io.Writer) corev1.ContainerStateTerminated { return end }
}

func request(files ...layer.File) Spec {
	return Spec{
		Name: "My_App", Namespace: "ns", Image: "registry.example/app@" + digest, DockerConfig: []byte(`{"auths":{}}`),
		Order: Order{Tag: "registry.example/app:v1", Options: dockerfile.Options{Target: "last", Secrets: map[string][]byte{"id": []byte("hush")}}},
		Files: files, patience: 50 * time.Millisecond,
	}
}

func TestRunBuilds(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	files := []layer.File{
		layer.Dir("dir", 0o755), layer.Bytes("dir/large", 0o644, large), layer.Bytes("run.sh", 0o755, []byte("#!/bin/sh")), layer.Symlink("link", "dir/large"),
	}
	cluster := fakecluster.New(builder(t, func(_ context.Context, dir string, order *Order, log *Log) error {
		task := log.Start("RUN something", 0)
		log.Output("its output")
		task.Done("ran something")
		log.Warn("careful")
		got, err := os.ReadFile(filepath.Join(dir, "link"))
		if err != nil || !bytes.Equal(got, large) {
			return fmt.Errorf("the context is not what it was: %d bytes, %w", len(got), err)
		}
		if info, err := os.Stat(filepath.Join(dir, "run.sh")); err != nil || info.Mode().Perm() != 0o755 {
			return fmt.Errorf("the script has mode %v, %w", info.Mode(), err)
		}
		if string(order.Options.Secrets["id"]) != "hush" || order.Tag != "registry.example/app:v1" || order.Options.Target != "last" {
			return fmt.Errorf("the order is %+v", order)
		}
		return nil
	}))
	report := &progresstest.Recorder{}
	result, err := Run(t.Context(), cluster, request(files...), report)
	if diff := cmp.Diff(&Result{Digest: digest, Platforms: []Platform{{Platform: "linux/amd64"}}}, result); err != nil || diff != "" {
		t.Fatalf("%v %s\n%q", err, diff, report.Lines())
	}
	expectEvents(t, report, "start RUN something", "output its output", "done ran something", "warn careful")
	for _, e := range report.Events() {
		if e.Kind == progresstest.Done && strings.HasPrefix(e.Text, "sent the context") && e.Bytes != 1048585 {
			t.Errorf("%d bytes of the context were counted", e.Bytes)
		}
	}
	expectEvents(t, report, "done sent the context (1.0 MB)")
	if left := cluster.Left(); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	if made := strings.Join(cluster.Made(), " "); made != "job secret" {
		t.Errorf("made in this order: %s", made)
	}
}

// TestRunFails is every end that is none: one error of the right kind, and
// nothing left in the cluster.
func TestRunFails(t *testing.T) {
	hang := func(ctx context.Context, _ string, _ *Order, _ *Log) error { <-ctx.Done(); return ctx.Err() }
	waitingFor := func(reason, message string) *corev1.PodStatus {
		return &corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: Container, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}}}
	}
	forbidden := fault.New(fault.Auth, "cluster.create", "secret", "not permitted to create secrets")
	for name, test := range map[string]struct {
		program fakecluster.Program
		change  func(c *fakecluster.Cluster, s *Spec)
		kind    fault.Kind
		want    string // in the error
		hint    string // in its hint
	}{
		"RUN fails": {
			program: builder(t, func(context.Context, string, *Order, *Log) error {
				return fault.New(fault.Build, "dockerfile.run", "Dockerfile:3", "make: exit code 2").WithHint("look at it")
			}), kind: fault.Build, want: "Dockerfile:3: make: exit code 2", hint: "look at it",
		},
		"no sandbox": {
			program: builder(t, func(context.Context, string, *Order, *Log) error {
				refused := fault.New(fault.Conflict, "sandbox.start", "", "this machine gives no sandbox").WithHint("sudo sysctl")
				return &fault.Error{Op: "dockerfile.build", Kind: fault.Conflict, Subject: "Dockerfile:2", Err: refused}
			}), kind: fault.Conflict, want: "the pod gets no sandbox", hint: "{Pod.Namespace}",
		},
		"out of memory": {program: died(corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}), kind: fault.Build, want: "more memory", hint: "{Pod.Resources} memory"},
		"crash":         {program: died(corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 2, Message: "panic: no"}), kind: fault.Failure, want: "exit code 2; its last words:\npanic: no"},
		"not kn-lite":   {program: died(corev1.ContainerStateTerminated{}), kind: fault.Failure, want: "exit code 0", hint: "an image of kn-lite"},
		"does not listen": {program: func(ctx context.Context, _ io.Reader, _ io.Writer) corev1.ContainerStateTerminated {
			<-ctx.Done()
			return corev1.ContainerStateTerminated{}
		}, change: func(_ *fakecluster.Cluster, s *Spec) { s.Greeting = 20 * time.Millisecond }, kind: fault.Conflict, want: "no image of kn-lite"},
		"another protocol": {program: func(ctx context.Context, in io.Reader, out io.Writer) corev1.ContainerStateTerminated {
			_, client := Accept(ctx, io.MultiReader(strings.NewReader("kn-lite cluster build 9\n"), in), time.Minute)
			NewLog(out).Ready()
			_, err := client.Receive(ctx, "")
			return corev1.ContainerStateTerminated{ExitCode: 6, Message: string(Verdict("", err))}
		}, kind: fault.Conflict, want: "another release"},
		"stream cut": {program: builder(t, hang), change: func(c *fakecluster.Cluster, _ *Spec) { c.CutInput = []int{100} }, kind: fault.Transient, want: "broke off"},
		"file changes while it is sent": {program: builder(t, hang), change: func(_ *fakecluster.Cluster, s *Spec) {
			f := layer.Bytes("late", 0o644, []byte("1234"))
			f.Size = 8
			s.Files = append(s.Files, f)
		}, kind: fault.Conflict, want: "late: "},
		"no secret": {program: builder(t, hang), change: func(c *fakecluster.Cluster, _ *Spec) { c.Errors["CreateSecret"] = forbidden }, kind: fault.Auth, want: "not permitted to create secrets"},
		"no answer to the job": {program: builder(t, hang), change: func(c *fakecluster.Cluster, _ *Spec) {
			c.Errors["CreateJob"] = fault.New(fault.Transient, "cluster.create", "job", "no answer")
		}, kind: fault.Transient, want: "no answer"},
		"no log": {program: builder(t, hang), change: func(c *fakecluster.Cluster, _ *Spec) {
			c.Errors["FollowLog"] = fault.New(fault.Auth, "cluster.get", "log", "not permitted to get pods/log")
		}, kind: fault.Auth, want: "not permitted to get pods/log"},
		"image": {change: func(c *fakecluster.Cluster, _ *Spec) { c.Before = waitingFor("ImagePullBackOff", "no such thing") }, kind: fault.NotFound, want: "no such thing", hint: "{Pod.Image}"},
		"start": {change: func(c *fakecluster.Cluster, _ *Spec) { c.Before = waitingFor("CreateContainerError", "no") }, kind: fault.Failure, want: "CreateContainerError"},
		"no node": {change: func(c *fakecluster.Cluster, s *Spec) {
			s.StartWithin = 20 * time.Millisecond
			c.Before = &corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/3 nodes"}}}
		}, kind: fault.Timeout, want: "no node takes it: 0/3 nodes", hint: "{Pod.Resources}"},
		"no pod": {change: func(c *fakecluster.Cluster, _ *Spec) {
			c.Events = []corev1.Event{{Reason: "FailedCreate", Message: "exceeded quota"}}
		}, kind: fault.Auth, want: "exceeded quota", hint: "{Pod.Namespace}"},
		"admission": {change: func(c *fakecluster.Cluster, _ *Spec) {
			c.Admit = func(*corev1.Pod) (bool, error) {
				return true, fault.New(fault.Conflict, "", "", "violates PodSecurity")
			}
		}, kind: fault.Auth, want: "violates PodSecurity", hint: "{Builder} dockerfile"},
		"no right":  {change: func(c *fakecluster.Cluster, _ *Spec) { c.Errors["CheckPod"] = forbidden }, kind: fault.Auth, want: "not permitted"},
		"resources": {change: func(_ *fakecluster.Cluster, s *Spec) { s.Resources = map[string]string{"memory": "many"} }, kind: fault.Usage, want: "memory=many: not an amount"},
		"gpu":       {change: func(_ *fakecluster.Cluster, s *Spec) { s.Resources = map[string]string{"gpu": "1"} }, kind: fault.Usage, want: "unknown resource"},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := fakecluster.New(test.program)
			spec := request(layer.Bytes("file", 0o644, bytes.Repeat([]byte("x"), 1<<20)))
			if test.change != nil {
				test.change(cluster, &spec)
			}
			report := &progresstest.Recorder{}
			result, err := Run(t.Context(), cluster, spec, report)
			if result != nil || fault.KindOf(err) != test.kind || err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(fault.HintOf(err), test.hint) {
				t.Errorf("got %v, %v (%v), hint %q", result, err, fault.KindOf(err), fault.HintOf(err))
			}
			if left := cluster.Left(); len(left) > 0 {
				t.Errorf("%v are left", left)
			}
		})
	}
}

// TestRunInterrupted cancels at every point at which something is said.
func TestRunInterrupted(t *testing.T) {
	for _, at := range []string{"done build pod", "done sent ", "output it runs"} {
		t.Run(at, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			cluster := fakecluster.New(builder(t, func(ctx context.Context, _ string, _ *Order, log *Log) error {
				log.Output("it runs")
				<-ctx.Done()
				return ctx.Err()
			}))
			report := &progresstest.Recorder{OnEvent: func(e progresstest.Event) {
				if strings.HasPrefix(e.Kind+" "+e.Text, at) {
					interrupt()
				}
			}}
			result, err := Run(ctx, cluster, request(), report)
			if result != nil || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, %v", result, err)
			}
			if left := cluster.Left(); len(left) > 0 {
				t.Errorf("%v are left", left)
			}
		})
	}
}

func TestRunOverItsDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	cluster := fakecluster.New(builder(t, func(ctx context.Context, _ string, _ *Order, _ *Log) error { <-ctx.Done(); return ctx.Err() }))
	_, err := Run(ctx, cluster, request(), &progresstest.Recorder{})
	if fault.KindOf(err) != fault.Timeout || !strings.Contains(fault.HintOf(err), "{Timeout}") {
		t.Errorf("got %v", err)
	}
	if left := cluster.Left(); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// TestRunPodDeleted is somebody else's kubectl delete.
func TestRunPodDeleted(t *testing.T) {
	cluster := fakecluster.New(builder(t, func(ctx context.Context, _ string, _ *Order, log *Log) error {
		log.Output("it runs")
		<-ctx.Done()
		return ctx.Err()
	}))
	report := &progresstest.Recorder{}
	report.OnEvent = func(e progresstest.Event) {
		if e.Text == "it runs" {
			go cluster.Kill()
		}
	}
	_, err := Run(t.Context(), cluster, request(), report)
	if fault.KindOf(err) != fault.Transient || !strings.Contains(err.Error(), "deleted") {
		t.Errorf("got %v", err)
	}
	if left := cluster.Left(); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// TestRunConnectsAgain: once the context is there, a connection that breaks is
// made again, and the build goes on.
func TestRunConnectsAgain(t *testing.T) {
	var cluster *fakecluster.Cluster
	cluster = fakecluster.New(builder(t, func(ctx context.Context, _ string, _ *Order, _ *Log) error {
		for cluster.Attached() < 2 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return ctx.Err()
	}))
	// All of the order and of an empty context fits into this, with some signs of life.
	cluster.CutInput = []int{streamSize(t, request()) + 1}
	result, err := Run(t.Context(), cluster, request(), &progresstest.Recorder{})
	if err != nil || result.Digest != digest {
		t.Errorf("got %v, %v", result, err)
	}
}

func streamSize(t *testing.T, s Spec) int {
	t.Helper()
	var all bytes.Buffer
	if err := writeOrder(t.Context(), &all, &s.Order, s.Files, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	return all.Len()
}

// TestRunTellsWhatIsLeft when the cluster does not remove it.
func TestRunTellsWhatIsLeft(t *testing.T) {
	cluster := fakecluster.New(builder(t, func(context.Context, string, *Order, *Log) error { return nil }))
	cluster.Errors["DeleteJob"] = errors.New("no answer")
	report := &progresstest.Recorder{}
	if _, err := Run(t.Context(), cluster, request(), report); err != nil {
		t.Error(err)
	}
	last := report.Lines()[len(report.Lines())-1]
	if !strings.HasPrefix(last, "warn job/kn-lite-build-my-app-") || !strings.Contains(last, "still there: no answer") {
		t.Errorf("the last word is %q", last)
	}
}

// TestRunAdmittedAsBaseline takes the second profile where the first is refused.
func TestRunAdmittedAsBaseline(t *testing.T) {
	cluster := fakecluster.New(builder(t, func(context.Context, string, *Order, *Log) error { return nil }))
	var asked []bool
	cluster.Admit = func(pod *corev1.Pod) (bool, error) {
		open := pod.Spec.SecurityContext != nil
		asked = append(asked, open)
		if open {
			return true, errors.New("violates PodSecurity")
		}
		return false, nil
	}
	if _, err := Run(t.Context(), cluster, request(), &progresstest.Recorder{}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]bool{true, false}, asked); diff != "" {
		t.Error(diff)
	}
}
