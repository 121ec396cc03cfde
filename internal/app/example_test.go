package app_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/build/basetest"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/server"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// A function is built, pushed and taken live, without a command line.
func ExampleApp() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	host, stop := serveRegistry(ctx, filepath.Join(dir, "registry"))
	defer stop()
	project := filepath.Join(dir, "hello")
	writeFiles(project, map[string]string{
		"func.yaml":    "specVersion: 0.36.0\nname: hello\nruntime: node\n",
		"package.json": `{"scripts":{"start":"node index.js"}}`,
		"index.js":     "require('http').createServer((q, a) => a.end('hello')).listen(process.env.PORT)\n",
	})

	kubeconfig, stopCluster, err := app.StartCluster(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer stopCluster()

	env := func(name string) string {
		return map[string]string{"HOME": dir, "KN_LITE_REGISTRY": host + "/me"}[name]
	}
	kn := &app.App{
		Settings: func() (*settings.Settings, error) { return settings.Load(settings.Sources{Env: env}) },
		Registry: func() (*registry.Client, error) { return registry.New(registry.Options{Env: env}) },
		Cluster: func(namespace string) (*cluster.Client, error) {
			return cluster.New(cluster.Options{Kubeconfig: kubeconfig, Namespace: namespace, Env: env})
		},
		Env: env, Vars: os.Environ(), Now: time.Now, Version: "v0.0.0",
	}
	options := app.BuildOptions{BaseImage: host + "/base/node:22"}
	built, err := kn.Build(ctx, app.BuildRequest{Dir: project, Image: host + "/me/hello:v1", BuildOptions: options})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("built", built.Language, "for", built.Platforms[0].Platform)

	pushed, err := kn.Push(ctx, app.PushRequest{Source: project})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("pushed what was built:", pushed.Image == built.Image)

	live, err := kn.Deploy(ctx, app.DeployRequest{Spec: deploy.Spec{Service: "hello", Image: pushed.Tag}, Dir: project})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(live.Outcome, live.Revision, "ready:", live.Ready)
	fmt.Println("it runs what was pushed:", live.Image == pushed.Image)

	// In one go: nothing has changed, so nothing is built, and the same image is live.
	again, err := kn.Deploy(ctx, app.DeployRequest{Dir: project, Build: options})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(again.Outcome, again.Revision)

	// Output:
	// built node for linux/amd64
	// pushed what was built: true
	// created hello-v1 ready: true
	// it runs what was pushed: true
	// unchanged hello-v1
}

// serveRegistry serves a registry from dir that has an image for Node.js.
func serveRegistry(ctx context.Context, dir string) (host string, stop func()) {
	handler, err := server.Open(ctx, dir, "")
	if err != nil {
		log.Fatal(err)
	}
	served := httptest.NewServer(handler)
	host = strings.TrimPrefix(served.URL, "http://")
	programs, err := basetest.Layer("1")
	if err != nil {
		log.Fatal(err)
	}
	base, err := mutate.AppendLayers(empty.Image, programs)
	if err != nil {
		log.Fatal(err)
	}
	config, err := base.ConfigFile()
	if err != nil {
		log.Fatal(err)
	}
	base, err = mutate.ConfigFile(base, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: config.RootFS, History: config.History})
	if err != nil {
		log.Fatal(err)
	}
	client, err := registry.New(registry.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Push(ctx, base, host+"/base/node:22"); err != nil {
		log.Fatal(err)
	}
	return host, served.Close
}

func writeFiles(dir string, files map[string]string) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		log.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			log.Fatal(err)
		}
	}
}
