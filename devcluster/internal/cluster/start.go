package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/kube"
	"github.com/kn-lite/kn-lite/devcluster/internal/machine"
	"github.com/kn-lite/kn-lite/devcluster/internal/manifests"
	"github.com/kn-lite/kn-lite/devcluster/internal/node"
	"github.com/kn-lite/kn-lite/devcluster/internal/parts"
	"github.com/kn-lite/kn-lite/devcluster/internal/state"
)

// itself runs this very program's hidden verb. The path works in every mount
// namespace; the title is what a process list shows.
func itself(i instance.Instance, verb string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", append([]string{verb}, args...)...)
	cmd.Args[0] = "devcluster-" + i.Name
	return cmd
}

// rise is the running part of Up: what several goroutines share.
type rise struct {
	*lift
	starter    *starter
	prober     prober
	client     *kube.Client
	components map[string]node.Component
	pushed     chan struct{} // closed when the registry has every image
	loaded     chan struct{} // closed when containerd has the pause image
}

// start starts the components in the order of their needs, side by side where they
// have none of each other, and returns when a Knative service can be created.
func (l *lift) start(ctx context.Context, m machine.Machine) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	i := l.record.Instance
	client, err := kube.New(i.Path("pki"), node.Admin, node.APIURL(), m.Dial)
	if err != nil {
		return err
	}
	r := &rise{lift: l, client: client, prober: newProber(m), components: l.spec.Components(),
		starter: &starter{record: l.record, machine: m, now: l.host.Now, died: func(err error) { fail(err) }},
		pushed:  make(chan struct{}), loaded: make(chan struct{})}

	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return r.images(ctx) })
	all.Go(func() error { return r.runtime(ctx) })
	all.Go(func() error { return r.control(ctx) })
	if err := all.Wait(); err != nil {
		// A component that died explains the rest.
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.DeadlineExceeded) {
			return cause
		}
		return err
	}
	return r.starter.save(func(rec *state.Record) { rec.Ready = l.host.Now() })
}

// run starts a component and waits until it works.
func (r *rise) run(ctx context.Context, name string) error {
	c := r.components[name]
	if err := r.starter.start(c); err != nil {
		return err
	}
	return r.prober.healthy(ctx, c)
}

// images starts the registry and its door, and fills it.
func (r *rise) images(ctx context.Context) error {
	done := r.tale.phase("registry filled")
	if err := r.relay(); err != nil {
		return err
	}
	if err := r.run(ctx, node.Registry); err != nil {
		return err
	}
	if _, err := parts.Push(ctx, r.set, r.record.Instance.Registry()); err != nil {
		return err
	}
	close(r.pushed)
	done()
	return nil
}

// relay starts the host's doors. Without listeners it runs already.
func (r *rise) relay() error {
	if r.listeners.API == nil {
		return nil
	}
	i := r.record.Instance
	cmd := itself(i, "relay", i.Registry(), node.IngressTarget(), node.APITarget())
	var files []*os.File
	for _, l := range []net.Listener{r.listeners.Registry, r.listeners.Ingress, r.listeners.API} {
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			return err
		}
		defer f.Close()
		files = append(files, f)
	}
	// The path is the real one here: /proc/self is another process once inside.
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return r.starter.start(node.Component{Name: node.Relay, Argv: append([]string{self}, cmd.Args[1:]...)}, files...)
}

// runtime starts containerd and loads the images ahead of the pods that need them.
func (r *rise) runtime(ctx context.Context) error {
	done := r.tale.phase("containerd")
	if err := r.run(ctx, node.Containerd); err != nil {
		return err
	}
	done()
	close(r.loaded)
	return nil
}

// control starts etcd, the API server and all that talks to it.
func (r *rise) control(ctx context.Context) error {
	done := r.tale.phase("etcd and API server")
	if err := r.run(ctx, node.Etcd); err != nil {
		return err
	}
	if err := r.run(ctx, node.APIServer); err != nil {
		return err
	}
	done()
	if !r.record.Ready.IsZero() && r.booted {
		if err := r.wake(ctx); err != nil {
			return err
		}
	}
	all, ctx := errgroup.WithContext(ctx)
	for _, name := range []string{node.ControllerManager, node.Scheduler, node.Proxy} {
		all.Go(func() error { return r.run(ctx, name) })
	}
	all.Go(func() error { return r.node(ctx) })
	all.Go(func() error { return r.knative(ctx) })
	return all.Wait()
}

// wake corrects what the objects of a cluster that was killed say, before any
// controller reads it: no pod runs, and nobody holds a lease (Knative's would otherwise
// be waited for, a minute long). Pods that no controller would make again are kept for
// the kubelet to restart.
func (r *rise) wake(ctx context.Context) error {
	for _, path := range []string{"/api/v1/pods", "/apis/coordination.k8s.io/v1/leases"} {
		var list unstructured.UnstructuredList
		if err := r.client.Get(ctx, path, &list); err != nil {
			return err
		}
		base, plural := path[:strings.LastIndex(path, "/")], path[strings.LastIndex(path, "/"):]
		for _, o := range list.Items {
			if plural == "/pods" && len(o.GetOwnerReferences()) == 0 {
				continue
			}
			err := r.client.Delete(ctx, base+"/namespaces/"+o.GetNamespace()+plural+"/"+o.GetName())
			if err != nil && kube.Code(err) != http.StatusNotFound {
				return fmt.Errorf("delete %s%s/%s: %w", o.GetNamespace(), plural, o.GetName(), err)
			}
		}
	}
	return nil
}

// node starts the kubelet and waits until pods can be put on it.
func (r *rise) node(ctx context.Context) error {
	for _, before := range []chan struct{}{r.loaded, r.pushed} {
		select {
		case <-before:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	done := r.tale.phase("node ready")
	if err := r.run(ctx, node.Kubelet); err != nil {
		return err
	}
	err := until(ctx, 100*time.Millisecond, func(ctx context.Context) error {
		var n unstructured.Unstructured
		if err := r.client.Get(ctx, "/api/v1/nodes/"+r.record.Instance.Node(), &n); err != nil {
			return err
		}
		if s := kube.Condition(&n, "Ready"); s != "True" {
			return fmt.Errorf("node condition Ready is %q", s)
		}
		return nil
	})
	if err != nil {
		return &fault.Error{Op: "wait for", Subject: "the node to be ready", Err: err, Hint: "see `devcluster logs kubelet`"}
	}
	done()
	return nil
}

// knative applies the objects and waits until a service can be created.
func (r *rise) knative(ctx context.Context) error {
	if r.record.Ready.IsZero() {
		if err := r.apply(ctx); err != nil {
			return err
		}
	}
	done := r.tale.phase("DNS and ingress")
	if err := errors.Join(r.starter.start(r.components[node.CoreDNS]), r.starter.start(r.components[node.Traefik])); err != nil {
		return err
	}
	if err := errors.Join(r.prober.healthy(ctx, r.components[node.CoreDNS]), r.prober.healthy(ctx, r.components[node.Traefik])); err != nil {
		return err
	}
	done()
	done = r.tale.phase("Knative Serving")
	if err := until(ctx, 200*time.Millisecond, r.available); err != nil {
		return &fault.Error{Op: "wait for", Subject: "Knative Serving", Err: err,
			Hint: "see `devcluster kubectl -- -n knative-serving get pods` on a run with --keep-on-failure"}
	}
	done()
	done = r.tale.phase("a service can be created")
	if err := until(ctx, 200*time.Millisecond, r.accepts); err != nil {
		return &fault.Error{Op: "wait for", Subject: "Knative's webhook", Err: err}
	}
	done()
	return nil
}

// apply gives the server Knative's objects and those of the node's own programs.
func (r *rise) apply(ctx context.Context) error {
	done := r.tale.phase("objects applied")
	i := r.record.Instance
	images := map[string]string{}
	for _, image := range r.set.Images {
		images[image.Name] = i.Registry() + "/" + image.Name + "@" + image.Digest
	}
	public, private := node.IngressPorts()
	objects, err := manifests.Knative(manifests.Input{
		Dir: r.set.Manifests, Images: images, Registry: i.Registry(), Domain: i.Domain(),
		Ingress: instance.Network().Node, PublicPort: public, PrivatePort: private,
		Settings: settings(r.record.FastAutoscaler),
	})
	if err != nil {
		return err
	}
	own, err := kube.Decode(node.Objects())
	if err != nil {
		return err
	}
	objects = append(own, objects...)
	for n, stage := range kube.Stages(objects) {
		kinds, err := r.client.Discover(ctx)
		if err != nil {
			return err
		}
		if err := r.client.Apply(ctx, kinds, stage); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		err = until(ctx, 50*time.Millisecond, func(ctx context.Context) error {
			waiting, err := r.client.Established(ctx, stage)
			if err == nil && len(waiting) > 0 {
				err = fmt.Errorf("not served yet: %s", strings.Join(waiting, ", "))
			}
			return err
		})
		if err != nil {
			return &fault.Error{Op: "wait for", Subject: "custom resource definitions", Err: err}
		}
	}
	if err := r.publish(ctx); err != nil {
		return err
	}
	done()
	return nil
}

// settings are Knative's that differ from its defaults: with fast the autoscaler
// forgets traffic in seconds. Six is the least that Knative's own validation lets pass.
func settings(fast bool) map[string]map[string]string {
	if !fast {
		return nil
	}
	return map[string]map[string]string{
		"config-autoscaler": {"stable-window": "6s", "scale-to-zero-grace-period": "5s"},
	}
}

// publish makes Traefik's public Service a load balancer whose address is the host's
// door, as a cloud would: so clients find the ingress by asking the cluster. Mode
// Proxy keeps kube-proxy from catching that address inside the machine.
func (r *rise) publish(ctx context.Context) error {
	i := r.record.Instance
	path := "/api/v1/namespaces/" + manifests.IngressNamespace + "/services/" + manifests.IngressPublicService
	err := r.client.Merge(ctx, path, map[string]any{"spec": map[string]any{
		"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false}})
	if err != nil {
		return err
	}
	return r.client.Merge(ctx, path+"/status", map[string]any{"status": map[string]any{"loadBalancer": map[string]any{
		"ingress": []any{map[string]any{"ip": i.Address.String(), "ipMode": "Proxy",
			"ports": []any{map[string]any{"port": i.Ports.Ingress, "protocol": "TCP"}}}}}}})
}

// Where Knative's own programs are.
const (
	servingDeployments = "/apis/apps/v1/namespaces/" + manifests.ServingNamespace + "/deployments"
	servingPods        = "/api/v1/namespaces/" + manifests.ServingNamespace + "/pods"
)

// available reports which of Knative's deployments are not there yet. Their pods are
// asked too: a deployment's own word is old after the cluster was killed.
func (r *rise) available(ctx context.Context) error {
	var deployments, pods unstructured.UnstructuredList
	if err := errors.Join(r.client.Get(ctx, servingDeployments, &deployments), r.client.Get(ctx, servingPods, &pods)); err != nil {
		return err
	}
	var missing []string
	for _, d := range deployments.Items {
		if kube.Condition(&d, "Available") != "True" {
			missing = append(missing, d.GetName())
		}
	}
	for _, p := range pods.Items {
		if kube.Condition(&p, "Ready") != "True" {
			missing = append(missing, p.GetName())
		}
	}
	if len(missing) > 0 || len(deployments.Items) == 0 || len(pods.Items) < len(deployments.Items) {
		return fmt.Errorf("not available: %s (%d pods of %d deployments)", strings.Join(missing, ", "), len(pods.Items), len(deployments.Items))
	}
	return nil
}

// accepts asks the server to go through creating a service without keeping it: that
// passes Knative's defaulting and validating webhooks.
func (r *rise) accepts(ctx context.Context) error {
	err := r.client.Create(ctx, "/apis/serving.knative.dev/v1/namespaces/default/services?dryRun=All", map[string]any{
		"apiVersion": "serving.knative.dev/v1", "kind": "Service",
		"metadata": map[string]any{"name": "devcluster-probe"},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
			"containers": []any{map[string]any{"image": r.record.Instance.Registry() + "/probe@sha256:" + strings.Repeat("0", 64)}}}}},
	})
	if kube.Code(err) == http.StatusConflict {
		return nil
	}
	return err
}
