package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/kube"
	"github.com/kn-lite/kn-lite/devcluster/internal/manifests"
	"github.com/kn-lite/kn-lite/devcluster/internal/node"
)

// knative applies the objects and waits until a service can be created.
func (r *rise) knative(ctx context.Context) error {
	if r.record.Ready.IsZero() {
		if err := r.apply(ctx); err != nil {
			return err
		}
	}
	done := r.progress.phase("DNS and ingress")
	if err := errors.Join(r.starter.start(r.components[node.CoreDNS]), r.starter.start(r.components[node.Traefik])); err != nil {
		return err
	}
	if err := errors.Join(r.prober.healthy(ctx, r.components[node.CoreDNS]), r.prober.healthy(ctx, r.components[node.Traefik])); err != nil {
		return err
	}
	done()
	done = r.progress.phase("Knative Serving")
	if err := until(ctx, 200*time.Millisecond, r.available); err != nil {
		return &fault.Error{
			Op: "wait for", Subject: "Knative Serving", Err: err,
			Hint: "see `devcluster kubectl -- -n knative-serving get pods` on a run with --keep-on-failure",
		}
	}
	done()
	done = r.progress.phase("a service can be created")
	if err := until(ctx, 200*time.Millisecond, r.accepts); err != nil {
		return &fault.Error{Op: "wait for", Subject: "Knative's webhook", Err: err}
	}
	done()
	return nil
}

// apply gives the server Knative's objects and those of the node's own programs.
func (r *rise) apply(ctx context.Context) error {
	done := r.progress.phase("objects applied")
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
	own, err := kube.Decode(slices.Concat(node.Objects(), node.LocalRegistry(i)))
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
// endpoint, as a cloud would: so clients find the ingress by asking the cluster. Mode
// Proxy keeps kube-proxy from catching that address inside the machine.
func (r *rise) publish(ctx context.Context) error {
	i := r.record.Instance
	path := "/api/v1/namespaces/" + manifests.IngressNamespace + "/services/" + manifests.IngressPublicService
	err := r.client.Merge(ctx, path, map[string]any{"spec": map[string]any{
		"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false,
	}})
	if err != nil {
		return err
	}
	return r.client.Merge(ctx, path+"/status", map[string]any{"status": map[string]any{"loadBalancer": map[string]any{
		"ingress": []any{map[string]any{
			"ip": i.Address.String(), "ipMode": "Proxy",
			"ports": []any{map[string]any{"port": i.Ports.Ingress, "protocol": "TCP"}},
		}},
	}}})
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
			"containers": []any{map[string]any{"image": r.record.Instance.Registry() + "/probe@sha256:" + strings.Repeat("0", 64)}},
		}}},
	})
	if kube.Code(err) == http.StatusConflict {
		return nil
	}
	return err
}
