package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// TestBuildFlags holds what each flag of build becomes.
func TestBuildFlags(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*app.BuildRequest)) app.BuildRequest {
		r := app.BuildRequest{Dir: "."}
		if change != nil {
			change(&r)
		}
		return r
	}
	for args, want := range map[string]app.BuildRequest{
		"":                       with(nil),
		"hello":                  with(func(r *app.BuildRequest) { r.Dir = "hello" }),
		"--push":                 with(func(r *app.BuildRequest) { r.Push = true }),
		"--image r.example/a:v1": with(func(r *app.BuildRequest) { r.Image = "r.example/a:v1" }),
		"--platform linux/amd64,linux/arm64": with(func(r *app.BuildRequest) {
			r.Platforms = []string{"linux/amd64", "linux/arm64"}
		}),
		"--base-image node:22":         with(func(r *app.BuildRequest) { r.BaseImage = "node:22" }),
		"--builder auto":               with(func(r *app.BuildRequest) { r.Builder = "auto" }),
		"--builder dockerfile":         with(func(r *app.BuildRequest) { r.Builder = "dockerfile" }),
		"--no-cache":                   with(func(r *app.BuildRequest) { r.NoCache = true }),
		"--no-start-check":             with(func(r *app.BuildRequest) { r.AllowMissingCommand = true }),
		"--no-lock-check":              with(func(r *app.BuildRequest) { r.AllowMissingLock = true }),
		"--sbom=false":                 with(func(r *app.BuildRequest) { r.NoSBOM = true }),
		"--provenance=false":           with(func(r *app.BuildRequest) { r.NoProvenance = true }),
		"--sign-key k.key":             with(func(r *app.BuildRequest) { r.SignKey = "k.key" }),
		"--file x/Dockerfile":          with(func(r *app.BuildRequest) { r.Dockerfile.File = "x/Dockerfile" }),
		"--target test":                with(func(r *app.BuildRequest) { r.Dockerfile.Target = "test" }),
		"--network none":               with(func(r *app.BuildRequest) { r.Dockerfile.Offline = true }),
		"--network default":            with(nil),
		"--cache-repo r.example/cache": with(func(r *app.BuildRequest) { r.Dockerfile.Repository = "r.example/cache" }),
		"--build-arg A=1 --build-arg B=": with(func(r *app.BuildRequest) {
			r.Dockerfile.Args = map[string]string{"A": "1", "B": ""}
		}),
		"--build-arg A=b=c": with(func(r *app.BuildRequest) { r.Dockerfile.Args = map[string]string{"A": "b=c"} }),
		"--secret id=t,src=" + secret: with(func(r *app.BuildRequest) {
			r.Dockerfile.Secrets = map[string][]byte{"t": []byte("s3cret")}
		}),
		"--secret type=file,id=t,source=" + secret: with(func(r *app.BuildRequest) {
			r.Dockerfile.Secrets = map[string][]byte{"t": []byte("s3cret")}
		}),
		"--builder-image r.example/kn": with(func(r *app.BuildRequest) { r.Pod.Image = "r.example/kn" }),
		"--builder-namespace builds":   with(func(r *app.BuildRequest) { r.Pod.Namespace = "builds" }),
		"--builder-resources cpu=2,memory=4Gi": with(func(r *app.BuildRequest) {
			r.Pod = builder.PodOptions{Resources: map[string]string{"cpu": "2", "memory": "4Gi"}}
		}),
		"-o oci:out -o tar:x.tar": with(func(r *app.BuildRequest) {
			r.Outputs = []app.Output{{Format: app.OCILayout, Path: "out"}, {Format: app.Tarball, Path: "x.tar"}}
		}),
		"-o oci:a:b": with(func(r *app.BuildRequest) { r.Outputs = []app.Output{{Format: app.OCILayout, Path: "a:b"}} }),
		"-o json":    with(nil),
		"--explain":  with(nil),
		"--verify":   with(nil),
	} {
		o, err := parse(t, newBuildCmd, strings.Fields(args)...)
		if err != nil {
			t.Errorf("%s: %v", args, err)
			continue
		}
		got, err := o.request()
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", args, err, diff)
		}
		if o.Explain != (args == "--explain") || o.Verify != (args == "--verify") {
			t.Errorf("%s: explain %t, verify %t", args, o.Explain, o.Verify)
		}
	}
}

func TestBuildFlagsRefused(t *testing.T) {
	for args, says := range map[string]string{
		"a b":                       "accepts at most 1 arg",
		"-o oci:":                   "needs a path",
		"--explain --push":          "--explain builds nothing",
		"--explain --verify":        "--explain builds nothing",
		"--explain -o oci:x":        "--explain builds nothing",
		"--network host":            "--network host: use default or none",
		"--build-arg A":             "--build-arg A: use NAME=VALUE",
		"--build-arg =1":            "use NAME=VALUE",
		"--secret id=x":             "use id=ID,src=FILE",
		"--secret src=x":            "use id=ID,src=FILE",
		"--secret id=x,env=Y":       `unknown part "env=Y"`,
		"--secret id=x,src=nowhere": "--secret x",
		"--secret type=env,id=x":    `unknown part "type=env"`,
		"--builder-resources cpu":   "must be formatted as key=value",
		"--platform":                "needs an argument",
		"--push=maybe":              "invalid",
	} {
		o, err := parse(t, newBuildCmd, strings.Fields(args)...)
		if err == nil {
			_, err = o.request()
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error that says %q", args, err, says)
		}
	}
}

func TestPushFlags(t *testing.T) {
	checkOptions(t, newPushCmd,
		optionsCase[pushOptions]{args: "", want: pushOptions{Source: ".", Attest: attestFlags{SBOM: true, Provenance: true}}},
		optionsCase[pushOptions]{args: "hello", want: pushOptions{Source: "hello", Attest: attestFlags{SBOM: true, Provenance: true}}},
		optionsCase[pushOptions]{args: "oci:x --image r.example/a", want: pushOptions{Source: "oci:x", Image: "r.example/a", Attest: attestFlags{SBOM: true, Provenance: true}}},
		optionsCase[pushOptions]{args: "--sbom=false --provenance=false --sign-key k", want: pushOptions{Source: ".", Attest: attestFlags{SignKey: "k"}}},
		optionsCase[pushOptions]{args: "a b", says: "accepts at most 1 arg"},
	)
}

// TestOptionsAreFlagsToTheUser holds the names that errors of the builders get.
func TestOptionsAreFlagsToTheUser(t *testing.T) {
	for _, r := range []struct {
		request    builder.Request
		says, hint string
	}{
		{builder.Request{Dockerfile: builder.DockerfileOptions{File: "x"}}, "--file: ", "add --builder dockerfile"},
		{builder.Request{Dockerfile: builder.DockerfileOptions{Target: "x"}}, "--target: ", "add --builder dockerfile"},
		{builder.Request{Dockerfile: builder.DockerfileOptions{Args: map[string]string{"A": ""}}}, "--build-arg: ", "add --builder dockerfile"},
		{builder.Request{Dockerfile: builder.DockerfileOptions{Secrets: map[string][]byte{"a": nil}}}, "--secret: ", "add --builder dockerfile"},
		{builder.Request{Dockerfile: builder.DockerfileOptions{Repository: "x"}}, "--cache-repo: ", "add --builder dockerfile"},
		{builder.Request{Dockerfile: builder.DockerfileOptions{Offline: true}}, "--network: ", "add --builder dockerfile"},
		{builder.Request{Pod: builder.PodOptions{Image: "x"}}, "--builder-image: ", "add --builder cluster"},
		{builder.Request{Pod: builder.PodOptions{Namespace: "x"}}, "--builder-namespace: ", "add --builder cluster"},
		{builder.Request{Pod: builder.PodOptions{Resources: map[string]string{"cpu": "1"}}}, "--builder-resources: ", "add --builder cluster"},
		{builder.Request{BaseImage: "node:22"}, "--base-image: ", "make it an ARG: FROM $BASE, with --build-arg BASE=node:22"},
	} {
		err := r.request.RefuseDockerfile()
		for _, more := range []error{r.request.RefusePod(), r.request.RefuseBaseImage()} {
			if err == nil {
				err = more
			}
		}
		if err = withFlags(err); !strings.HasPrefix(err.Error(), r.says) || hintOf(err) != r.hint {
			t.Errorf("%v (%s), want %q (%s)", err, hintOf(err), r.says, r.hint)
		}
		if fault.KindOf(err) != fault.Usage {
			t.Errorf("%v: %s", err, fault.KindOf(err))
		}
	}
}
