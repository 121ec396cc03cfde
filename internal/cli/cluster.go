package cli

import (
	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/function"
)

// openCluster is behind Factory.Cluster: the cluster and namespace that the
// flags, the environment, the working folder's func.yaml and the settings
// name. Nothing is dialled before the first request.
func (f *Factory) openCluster() (*cluster.Client, error) {
	project, err := app.FindProject(".")
	if err != nil {
		return nil, err
	}
	return f.clusterFor(project)
}

// clusterFor is Cluster for a project that is not in the working folder, or
// for none (nil).
func (f *Factory) clusterFor(project *function.Function) (*cluster.Client, error) {
	namespace, err := f.namespace(project)
	if err != nil {
		return nil, err
	}
	return f.clusterIn(namespace)
}

// clusterIn is Cluster for a namespace, "" for the kubeconfig context's own.
func (f *Factory) clusterIn(namespace string) (*cluster.Client, error) {
	return cluster.New(f.clusterOptions(namespace))
}

func (f *Factory) clusterOptions(namespace string) cluster.Options {
	return cluster.Options{
		Kubeconfig: f.Flags.Kubeconfig,
		Context:    f.Flags.Context,
		Namespace:  namespace,
		Env:        f.Sys.Env,
		UserAgent:  "kn-lite/" + currentVersion().Version,
		Progress:   f.IO.Progress(),
	}
}

// namespace is the one to work in, or "" for the kubeconfig context's own:
// flag, KN_LITE_NAMESPACE, func.yaml, then the settings.
func (f *Factory) namespace(project *function.Function) (string, error) {
	return f.App().Namespace(f.Flags.Namespace, project)
}
