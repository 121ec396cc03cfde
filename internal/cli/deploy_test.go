package cli

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// deployRequest returns what a command line asks for.
func deployRequest(t *testing.T, args ...string) (app.DeployRequest, error) {
	t.Helper()
	o, err := parse(t, newDeployCmd, args...)
	if err != nil {
		return app.DeployRequest{}, err
	}
	return o.request()
}

func pointer[T any](v T) *T { return &v }

func TestDeployRequest(t *testing.T) {
	plain := func(change func(*app.DeployRequest)) app.DeployRequest {
		r := app.DeployRequest{Dir: ".", Build: app.BuildOptions{}}
		if change != nil {
			change(&r)
		}
		return r
	}
	for _, tt := range []struct {
		name string
		args []string
		want app.DeployRequest
	}{
		{"nothing said", nil, plain(nil)},
		{"a folder", []string{"fn"}, plain(func(r *app.DeployRequest) { r.Dir = "fn" })},
		{"an image", []string{"--image", "reg/x:1", "-s", "hello", "--revision", "blue"}, plain(func(r *app.DeployRequest) {
			r.Spec = deploy.Spec{Image: "reg/x:1", Service: "hello", Revision: "blue"}
		})},
		{"no traffic, under a tag", []string{"--no-traffic", "--tag", "next"}, plain(func(r *app.DeployRequest) {
			r.Spec.Traffic, r.Spec.Tag = traffic.Shift{Keep: true}, "next"
		})},
		{"a share", []string{"--traffic", "10%"}, plain(func(r *app.DeployRequest) { r.Spec.Traffic = traffic.Shift{Partial: true, Share: 10} })},
		{"variables", []string{"-e", "A=1", "--env", "B-", "-e", "C=x=y"}, plain(func(r *app.DeployRequest) {
			r.Spec.Env = []deploy.EnvEdit{{Name: "A", Value: "1"}, {Name: "B", Remove: true}, {Name: "C", Value: "x=y"}}
		})},
		{
			"scale",
			[]string{"--scale-min", "0", "--scale-max", "3", "--scale-target", "2.5", "--scale-window", "30s", "--concurrency-limit", "5", "--port", "9000"},
			plain(func(r *app.DeployRequest) {
				r.Spec.Scale = deploy.Scale{Min: pointer[int64](0), Max: pointer[int64](3), Target: pointer(2.5), Window: 30 * time.Second}
				r.Spec.ConcurrencyLimit, r.Spec.Port = pointer[int64](5), 9000
			}),
		},
		{"not waited for", []string{"--no-wait"}, plain(func(r *app.DeployRequest) { r.NoWait = true })},
		{"dry run here", []string{"--dry-run=client"}, plain(func(r *app.DeployRequest) { r.DryRun = app.DryRunClient })},
		{"dry run there", []string{"--dry-run=server"}, plain(func(r *app.DeployRequest) { r.DryRun = app.DryRunServer })},
		{"signed", []string{"--require-signed", "--verify-key", "k.pub", "--sign-key", "k.key"}, plain(func(r *app.DeployRequest) {
			r.Signed = app.SignedPolicy{Required: pointer(true), Key: "k.pub"}
			r.Build.SignKey = "k.key"
		})},
		{"not signed, whatever the settings say", []string{"--require-signed=false"}, plain(func(r *app.DeployRequest) { r.Signed.Required = pointer(false) })},
		{"how to build", []string{"--platform", "linux/arm64", "--base-image", "b", "--builder", "layers", "--no-cache", "--sbom=false"}, plain(func(r *app.DeployRequest) {
			r.Build = app.BuildOptions{Builder: "layers", Platforms: []string{"linux/arm64"}, BaseImage: "b", NoCache: true, NoSBOM: true}
		})},
	} {
		got, err := deployRequest(t, tt.args...)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got.Build.Dockerfile.Secrets != nil && len(got.Build.Dockerfile.Secrets) == 0 {
			got.Build.Dockerfile.Secrets = nil
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
}

func TestDeployFlagsThatAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"--image", ""},
		{"--image="},
		{"--tag", ""},
		{"--service", ""},
		{"--revision", ""},
		{"--traffic", ""},
		{"--traffic", "0"},
		{"--traffic", "101"},
		{"--traffic", "+5"},
		{"--traffic", "half"},
		{"--no-traffic", "--traffic", "5"},
		{"--dry-run=maybe"},
		{"--image", "x", "--platform", "linux/arm64"},
		{"--image", "x", "--builder", "layers"},
		{"--image", "x", "--sign-key", "k"},
		{"--image", "x", "--file", "D"},
		{"--image", "x", "--build-arg", "A=b"},
		{"--image", "x", "--network", "none"},
		{"--image", "x", "--builder-image", "y"},
		{"--image", "x", "--no-cache"},
		{"--env", "A"},
		{"--env", "1A=x"},
		{"--env", "=x"},
		{"--port", "0"},
		{"--port", "70000"},
		{"--scale-min", "-1"},
		{"--scale-min", "3", "--scale-max", "2"},
		{"--concurrency-limit", "-1"},
		{"--network", "host"},
		{"--build-arg", "A"},
		{"a", "b"},
	} {
		if r, err := deployRequest(t, args...); fault.KindOf(err) != fault.Usage {
			t.Errorf("%v: %+v, %v", args, r, err)
		}
	}
}

func TestAbortOptions(t *testing.T) {
	o, err := parse(t, newDeployCmd, "fn", "--abort", "-s", "hello")
	if err != nil || !o.Abort || o.Service != "hello" || o.Dir != "fn" {
		t.Errorf("%+v, %v", o, err)
	}
}
