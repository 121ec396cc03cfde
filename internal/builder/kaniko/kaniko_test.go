package kaniko

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/clusterbuild"
	"github.com/kn-lite/kn-lite/internal/clusterbuild/fakecluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

const digest = "sha256:0000000000000000000000000000000000000000000000000000000000000001"

func TestArguments(t *testing.T) {
	call := &invocation{
		context: "tar://stdin", dockerfile: "d/Dockerfile", destination: "registry.cluster:5000/app:v1", target: "last",
		platform: v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"},
		args:     map[string]string{"B": "$(HOME) $$ a,b=c", "TARGETARCH": "mine"}, labels: map[string]string{"l": "v"},
		cache:    "registry.cluster:5000/cache",
		insecure: []string{"plain.example"}, mirrors: map[string][]string{"docker.io": {"mirror.example/hub", "second.example"}},
		routes: map[string]string{"localhost:5000": "registry.cluster:5000"}, authorities: "/ca.pem", registries: []string{"a.example", "a.example"},
	}
	args := call.arguments()
	for _, want := range []string{
		"--context=tar://stdin", "--dockerfile=d/Dockerfile", "--destination=registry.cluster:5000/app:v1", "--digest-file=/dev/termination-log",
		"--target=last", "--custom-platform=linux/arm64/v8", "--build-arg=B=$(HOME) $$ a,b=c", "--build-arg=TARGETARCH=mine",
		"--build-arg=TARGETPLATFORM=linux/arm64/v8", "--label=l=v", "--cache=true", "--cache-repo=registry.cluster:5000/cache", "--reproducible",
		"--insecure-registry=plain.example", "--insecure-registry=registry.cluster:5000",
		"--registry-map=index.docker.io=mirror.example/hub", "--registry-map=index.docker.io=second.example", "--registry-map=localhost:5000=registry.cluster:5000",
		"--registry-certificate=a.example=/ca.pem", "--registry-certificate=mirror.example=/ca.pem",
	} {
		if !slices.Contains(args, want) {
			t.Errorf("there is no %s in %q", want, args)
		}
	}
	if n := strings.Count(strings.Join(args, "\n"), "TARGETARCH="); n != 1 {
		t.Errorf("TARGETARCH is given %d times", n)
	}
	if slices.Contains(args, "--skip-default-registry-fallback") {
		t.Error("what a mirror has not is not looked for in the registry")
	}
	call.mirrors = nil
	if args = call.arguments(); !slices.Contains(args, "--skip-default-registry-fallback") {
		t.Error("a registry with another name inside is looked for by the one outside")
	}
	if got := escape([]string{"--build-arg=B=$(HOME) $$"})[0]; got != "--build-arg=B=$$(HOME) $$$$" {
		t.Errorf("a kubelet would replace something in %q", got)
	}
	call = &invocation{context: "dir:///c", layout: "/out", platform: v1.Platform{OS: "linux", Architecture: "amd64"}}
	args = call.arguments()
	if !slices.Contains(args, "--no-push") || !slices.Contains(args, "--oci-layout-path=/out") || strings.Contains(strings.Join(args, " "), "--digest-file") {
		t.Errorf("without a destination: %q", args)
	}
}

func TestCheckRefuses(t *testing.T) {
	for field, change := range map[string]func(r *builder.Request){
		"Dockerfile.Secrets": func(r *builder.Request) { r.Dockerfile.Secrets = map[string][]byte{"a": nil} },
		"Dockerfile.Offline": func(r *builder.Request) { r.Dockerfile.Offline = true },
		"Platforms":          func(r *builder.Request) { r.Platforms = make([]v1.Platform, 2) },
		"BaseImage":          func(r *builder.Request) { r.BaseImage = "base" },
		// The subject alone: func.yaml's is the same option.
		"BaseImage: it has no": func(r *builder.Request) {
			r.Project = &function.Function{Build: function.Build{BaseImage: "base"}}
		},
		"AllowMissingCommand": func(r *builder.Request) { r.AllowMissingCommand = true },
	} {
		r := builder.Request{Dir: t.TempDir()}
		change(&r)
		if err := (&Builder{}).Check(r); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := (&Builder{}).Check(builder.Request{Dir: t.TempDir()}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("no Dockerfile: %v", err)
	}
}

func TestRefusesWhatKanikoDoesWrong(t *testing.T) {
	const old, fork, own = "gcr.io/kaniko-project/executor:v1.24.0-debug", "ghcr.io/osscontainertools/kaniko:v1.28.3@" + digest, publicImage + ":2.3.4"
	for _, test := range []struct {
		kind           dockerfile.DemandKind
		old, fork, own bool
	}{
		{dockerfile.HereDocument, true, false, true},
		{dockerfile.RunMount, true, false, true},
		{dockerfile.CopySelection, true, false, true},
		{dockerfile.RunNetwork, true, true, true},
		{dockerfile.RunOther, true, true, true},
		{dockerfile.AddChecksum, true, true, true},
		{dockerfile.CopyWholeRoot, true, true, true},
	} {
		needed := &dockerfile.Needed{Name: "Dockerfile", Demands: []dockerfile.Demand{{Kind: test.kind, Line: 7, Text: "RUN --x"}}}
		for image, want := range map[string]bool{old: test.old, fork: test.fork, own: test.own, "registry.example/kaniko": test.old} {
			err := refuse(needed, image, "")
			if (err != nil) != want || want && (!strings.Contains(err.Error(), "Dockerfile:7: RUN --x: ") || fault.KindOf(err) != fault.Usage) {
				t.Errorf("%s with %s: %v", test.kind, image, err)
			}
		}
	}
}

func TestExecutorImage(t *testing.T) {
	for _, test := range []struct {
		version, settings, request, want string
	}{
		{"v1.2.3", "", "", publicImage + ":1.2.3"},
		{"v1.2.3", "s.example/k:1", "", "s.example/k:1"},
		{"(devel)", "s.example/k:1", "r.example/k:1", "r.example/k:1"},
		{"(devel)", "", "", ""},
	} {
		r := builder.Request{}
		r.Pod.Image, r.Pod.Images = test.request, map[string]string{builder.Kaniko: test.settings}
		got, err := New(&builder.Host{Version: test.version}).executor(r)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%+v: %s, %v", test, got, err)
		}
	}
}

func TestCredentialsByHost(t *testing.T) {
	config := []byte(`{"auths":{"a.example/base":{"auth":"1"},"a.example/app":{"auth":"2"},"localhost:5000/x":{"auth":"3"},"https://index.docker.io/v1/":{"auth":"4"}}}`)
	raw, err := byHost(config, "a.example/app", map[string]string{"localhost:5000": "registry:5000"})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Auths map[string]struct{ Auth string }
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]struct{ Auth string }{
		"a.example/base": {"1"}, "a.example/app": {"2"}, "a.example": {"2"}, "localhost:5000/x": {"3"}, "localhost:5000": {"3"},
		"registry:5000/x": {"3"}, "registry:5000": {"3"}, "https://index.docker.io/v1/": {"4"},
	}
	if diff := cmp.Diff(want, got.Auths); diff != "" {
		t.Error(diff)
	}
}

// executor is a container that takes the context as kaniko does, and then does what
// it is told.
func executor(t *testing.T, seen *[]string, work func(ctx context.Context, out io.Writer) corev1.ContainerStateTerminated) fakecluster.Program {
	return func(ctx context.Context, in io.Reader, out io.Writer) corev1.ContainerStateTerminated {
		fmt.Fprintln(out, `{"level":"info","msg":"To simulate EOF and exit, press 'Ctrl+D'","time":"2026-01-01T00:00:00Z"}`)
		zr, err := gzip.NewReader(in)
		if err != nil {
			return failed(out, "Error: error resolving source context: "+err.Error()+"\nUsage:\n  executor [flags]\n")
		}
		tr := tar.NewReader(zr)
		for {
			header, err := tr.Next()
			if errors.Is(err, io.EOF) {
				// What comes after the archive stays in buffers on its way.
				go func() { _, _ = io.Copy(io.Discard, in) }()
				return work(ctx, out)
			}
			if err != nil {
				return failed(out, "Error: error resolving source context: "+err.Error()+"\nUsage:\n  executor [flags]\n")
			}
			raw, err := io.ReadAll(tr)
			if err != nil {
				return failed(out, "Error: error resolving source context: "+err.Error()+"\nUsage:\n  executor [flags]\n")
			}
			if header.Uid != 0 {
				t.Errorf("%s belongs to %d", header.Name, header.Uid)
			}
			*seen = append(*seen, header.Name+"="+string(raw))
		}
	}
}

func failed(out io.Writer, text string) corev1.ContainerStateTerminated {
	fmt.Fprintln(out, text)
	// The digest is there before the push, which may have failed.
	return corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: digest}
}

func request(report *progresstest.Recorder, files ...layer.File) clusterbuild.Spec {
	return clusterbuild.Spec{
		Name: "app", Namespace: "ns", Image: "k.example/executor:v1.24.0", DockerConfig: []byte(`{"auths":{}}`), Lease: time.Minute,
		AuthFiles: map[string][]byte{authoritiesFile: []byte("pem")},
		Program:   &program{image: "k.example/executor:v1.24.0", args: []string{"--x=$(y)"}, files: files, report: report, log: newBuildLog(report)},
	}
}

func TestProgramBuilds(t *testing.T) {
	var seen []string
	report := &progresstest.Recorder{}
	cluster := fakecluster.New(executor(t, &seen, func(_ context.Context, out io.Writer) corev1.ContainerStateTerminated {
		fmt.Fprint(out, `{"level":"info","msg":"RUN make"}
{"level":"warning","msg":"Kaniko is being run outside of a container. This can have dangerous effects on your system"}
{"level":"warning","msg":"No file was copied"}
Error: said by make
{"level":"info","msg":"COPY a b"}
`)
		return corev1.ContainerStateTerminated{Reason: "Completed", Message: digest}
	}))
	cluster.Admit = func(pod *corev1.Pod) (bool, error) {
		c := pod.Spec.Containers[0]
		if !c.Stdin || !c.StdinOnce || c.Args[0] != "--x=$$(y)" || len(c.VolumeMounts) != 1 || c.VolumeMounts[0].MountPath != "/kaniko/.docker" {
			t.Errorf("the container is %+v", c)
		}
		if items := pod.Spec.Volumes[0].Secret.Items; len(items) != 2 || items[1].Path != authoritiesFile {
			t.Errorf("the secret's files are %+v", items)
		}
		return false, nil
	}
	result, err := clusterbuild.Run(t.Context(), cluster, request(report, layer.Dir("d", 0o755), layer.Bytes("d/f", 0o644, []byte("x"))), report)
	if err != nil || result.Digest != digest {
		t.Fatalf("%+v, %v", result, err)
	}
	if diff := cmp.Diff([]string{"d=", "d/f=x"}, seen); diff != "" {
		t.Error(diff)
	}
	lines := report.Lines()
	for _, want := range []string{"start RUN make", "done RUN make", "output Error: said by make", "done COPY a b", "warn kaniko: No file was copied"} {
		if !slices.Contains(lines, want) {
			t.Errorf("nobody reported %q, but %q", want, lines)
		}
	}
	if slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "outside of a container") }) {
		t.Error("a warning that does not apply was passed on")
	}
	if left := cluster.Left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestProgramFails is each way of kaniko's to fail, as one error of the right kind.
func TestProgramFails(t *testing.T) {
	for name, test := range map[string]struct {
		out   string
		end   corev1.ContainerStateTerminated
		cut   bool
		kind  fault.Kind
		want  string
		notIn string
	}{
		"RUN": {
			out: `{"level":"info","msg":"RUN make"}` + "\nerror building image: error building stage: failed to execute command: waiting for process to exit: exit status 7\n",
			end: corev1.ContainerStateTerminated{ExitCode: 7, Reason: "Error"}, kind: fault.Build, want: "RUN make: exit code 7",
		},
		"push": {
			out: "error pushing image: failed to push to destination r: PUT https://r: UNAUTHORIZED: no\n", end: corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: digest},
			kind: fault.Auth, want: "kaniko: failed to push to destination r",
		},
		"no rights": {
			out: "error checking push permissions -- make sure: 401\n", end: corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}, kind: fault.Auth, want: "error checking push permissions",
		},
		"flag": {
			out: "Error: unknown flag: --log-format\nUsage:\n  executor [flags]\nFlags:\n", end: corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"},
			kind: fault.Conflict, want: "unknown flag: --log-format", notIn: "executor [flags]",
		},
		"memory":      {end: corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}, kind: fault.Build, want: "more memory"},
		"no image":    {out: "error building image: GET https://r: MANIFEST_UNKNOWN: no\n", end: corev1.ContainerStateTerminated{ExitCode: 1}, kind: fault.NotFound, want: "MANIFEST_UNKNOWN"},
		"not kaniko":  {out: "hello\n", end: corev1.ContainerStateTerminated{Reason: "Completed", Message: "hello"}, kind: fault.Failure, want: "an image of kaniko's executor?"},
		"context cut": {cut: true, kind: fault.Transient, want: "EOF"},
		"says nothing more": {
			out: `{"level":"info","msg":"x"}` + "\n", end: corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error"}, kind: fault.Build, want: "kaniko ended with exit code 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			report := &progresstest.Recorder{}
			var seen []string
			work := executor(t, &seen, func(_ context.Context, out io.Writer) corev1.ContainerStateTerminated {
				fmt.Fprint(out, test.out)
				return test.end
			})
			if test.cut {
				whole := work
				work = func(ctx context.Context, in io.Reader, out io.Writer) corev1.ContainerStateTerminated {
					return whole(ctx, io.LimitReader(in, 100), out) // as with StdinOnce
				}
			}
			cluster := fakecluster.New(work)
			spec := request(report, layer.Bytes("f", 0o644, []byte(strings.Repeat("noise", 1<<12))))
			result, err := clusterbuild.Run(t.Context(), cluster, spec, report)
			if result != nil || err == nil || fault.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v (%v)", result, err, fault.KindOf(err))
			}
			if test.notIn != "" && strings.Contains(strings.Join(report.Lines(), "\n"), test.notIn) {
				t.Errorf("kaniko's help is in the output: %q", report.Lines())
			}
			if left := cluster.Left(); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestProgramInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	report := &progresstest.Recorder{}
	var seen []string
	cluster := fakecluster.New(executor(t, &seen, func(ctx context.Context, out io.Writer) corev1.ContainerStateTerminated {
		fmt.Fprintln(out, `{"level":"info","msg":"RUN sleep 600"}`)
		interrupt()
		<-ctx.Done()
		return corev1.ContainerStateTerminated{ExitCode: 137}
	}))
	if _, err := clusterbuild.Run(ctx, cluster, request(report), report); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left := cluster.Left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
