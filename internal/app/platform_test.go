package app

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	autoscalingv1alpha1 "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	"knative.dev/serving/pkg/apis/serving"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/local/api"
	"github.com/kn-lite/kn-lite/internal/local/control"
	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// platform is the embedded platform's API server and controllers, and a registry.
// Its pods run nothing: their statuses are what the test wants.
type platform struct {
	t     *testing.T
	store *store.Store
	file  string // kubeconfig
	host  string // of the registry

	mu   sync.Mutex
	fate func(*corev1.Pod) bool // whether a pod becomes ready; nil: each does
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p, stop, err := startPlatform(t.TempDir(), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	p.t = t
	if p.host, stop, err = regtest.Listen(regtest.New(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return p
}

// StartCluster starts a cluster for the example, which stands outside of the
// package, and returns its kubeconfig.
func StartCluster(dir string) (kubeconfig string, stop func(), err error) {
	p, stop, err := startPlatform(dir, func(err error) { panic(err) })
	if err != nil {
		return "", nil, err
	}
	return p.file, stop, nil
}

// startPlatform starts a platform whose files are in dir. failed is called with what
// ends one of its parts.
func startPlatform(dir string, failed func(error)) (_ *platform, stop func(), err error) {
	objects, err := store.Open("")
	if err != nil {
		return nil, nil, err
	}
	p := &platform{store: objects, file: filepath.Join(dir, "kubeconfig")}
	for _, name := range []string{"default", "other"} {
		if _, err := objects.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return nil, nil, err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	handler := api.New(api.Options{Store: objects, Token: "token", Version: "1.0.0"})
	controllers := control.New(control.Options{Store: objects, Domain: "example.com"})
	for _, run := range []func(context.Context) error{handler.Run, controllers.Run, p.play} {
		group.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				failed(err)
			}
		})
	}
	server := httptest.NewTLSServer(handler)
	stop = func() {
		server.CloseClientConnections()
		server.Close()
		cancel()
		group.Wait()
		objects.Close()
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	caFile := filepath.Join(dir, "ca.pem")
	err = errors.Join(os.WriteFile(caFile, ca, 0o600), os.WriteFile(p.file, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: c,
clusters: [{name: c, cluster: {server: %q, certificate-authority: %q}}], users: [{name: u, user: {token: token}}],
contexts: [{name: c, context: {cluster: c, user: u, namespace: default}}]}`, server.URL, caFile), 0o600))
	if err != nil {
		stop()
		return nil, nil, err
	}
	return p, stop, nil
}

func (p *platform) create(object store.Object) {
	p.t.Helper()
	if _, err := p.store.Create(object); err != nil {
		p.t.Fatal(err)
	}
}

// play is the kubelet and the autoscaler: it writes the statuses that theirs would be.
func (p *platform) play(ctx context.Context) error {
	watch := p.store.Watch(p.store.Version())
	for {
		events, err := watch.Next(ctx)
		if err != nil {
			return err
		}
		for _, e := range events {
			switch object := e.Object.(type) {
			case *corev1.Pod:
				p.playPod(object)
			case *appsv1.Deployment:
				p.scale(object.Namespace, object.Labels[serving.RevisionLabelKey])
			case *autoscalingv1alpha1.PodAutoscaler:
				p.scale(object.Namespace, object.Name)
			}
		}
	}
}

func (p *platform) playPod(pod *corev1.Pod) {
	p.mu.Lock()
	ready := p.fate == nil || p.fate(pod)
	p.mu.Unlock()
	switch {
	case pod.DeletionTimestamp != nil:
		p.store.Remove(pod)
	case pod.Status.Phase == corev1.PodPending && ready:
		next := pod.DeepCopy()
		next.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
		_, _ = p.store.UpdateStatus(next) // one that is gone needs no status
	}
}

func (p *platform) scale(namespace, revision string) {
	pa, ok := store.Get[*autoscalingv1alpha1.PodAutoscaler](p.store, namespace, revision)
	if !ok {
		return
	}
	d, ok := store.Get[*appsv1.Deployment](p.store, namespace, pa.Spec.ScaleTargetRef.Name)
	if !ok {
		return
	}
	next := pa.DeepCopy()
	status := &next.Status
	status.InitializeConditions()
	status.ServiceName = pa.Name
	status.MarkSKSReady()
	status.DesiredScale, status.ActualScale = d.Spec.Replicas, &d.Status.ReadyReplicas
	if d.Status.ReadyReplicas > 0 {
		status.MarkScaleTargetInitialized()
		status.MarkActive()
	} else {
		status.MarkActivating("Queued", "Requests to the target are being buffered as resources are provisioned.")
	}
	for i := range status.Conditions {
		if old := pa.Status.GetCondition(status.Conditions[i].Type); old != nil && old.Status == status.Conditions[i].Status {
			status.Conditions[i].LastTransitionTime = old.LastTransitionTime
		}
	}
	status.ObservedGeneration = pa.Generation
	_, _ = p.store.UpdateStatus(next)
}

// decide says from now on which pods become ready.
func (p *platform) decide(fate func(*corev1.Pod) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fate = fate
}

// app returns the use cases on the platform, with an environment, and what they report.
func (p *platform) app(env map[string]string) (*App, *progresstest.Recorder) {
	seen := &progresstest.Recorder{}
	variables := func(name string) string { return env[name] }
	return &App{
		Settings: func() (*settings.Settings, error) { return settings.Load(settings.Sources{Env: variables}) },
		Registry: func() (*registry.Client, error) { return registry.New(registry.Options{}) },
		Cluster: func(namespace string) (*cluster.Client, error) {
			return cluster.New(cluster.Options{Kubeconfig: p.file, Namespace: namespace, Env: func(string) string { return "" }, Progress: seen})
		},
		Progress: seen, Env: variables, Now: time.Now, Version: "v0",
	}, seen
}

// image pushes an image for an architecture and returns its reference by tag.
func (p *platform) image(name, architecture string) string {
	p.t.Helper()
	layer, err := random.Layer(64, "application/vnd.oci.image.layer.v1.tar+gzip")
	if err != nil {
		p.t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		p.t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		p.t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	if image, err = mutate.ConfigFile(image, config); err != nil {
		p.t.Fatal(err)
	}
	client, err := registry.New(registry.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	tag := p.host + "/" + name
	if _, err := client.Push(p.t.Context(), image, tag); err != nil {
		p.t.Fatal(err)
	}
	return tag
}

// node adds a node of an architecture to the cluster.
func (p *platform) node(name, architecture string) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	node.Status.NodeInfo.OperatingSystem, node.Status.NodeInfo.Architecture = "linux", architecture
	p.create(node)
}
