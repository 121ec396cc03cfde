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
	r := &rise{
		lift: l, client: client, prober: newProber(m), components: l.spec.Components(),
		starter: &starter{record: l.record, machine: m, now: l.host.Now, died: func(err error) { fail(err) }},
		pushed:  make(chan struct{}), loaded: make(chan struct{}),
	}

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

// images starts the registry and its endpoint, and fills it.
func (r *rise) images(ctx context.Context) error {
	done := r.progress.phase("registry filled")
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

// relay starts the host's endpoints. Without listeners it runs already.
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
	done := r.progress.phase("containerd")
	if err := r.run(ctx, node.Containerd); err != nil {
		return err
	}
	done()
	close(r.loaded)
	return nil
}

// control starts etcd, the API server and all that talks to it.
func (r *rise) control(ctx context.Context) error {
	done := r.progress.phase("etcd and API server")
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
	done := r.progress.phase("node ready")
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
