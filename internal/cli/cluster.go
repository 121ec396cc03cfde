package cli

import (
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/function"
)

// openCluster is behind Factory.Cluster: the cluster and namespace that the
// flags, the environment, the working folder's func.yaml and the settings
// name. Nothing is dialled before the first request.
func (f *Factory) openCluster() (*cluster.Client, error) {
	project, err := f.projectHere()
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
	}
}

// namespace is the one to work in, or "" for the kubeconfig context's own:
// flag, KN_LITE_NAMESPACE, func.yaml, then the settings.
func (f *Factory) namespace(project *function.Function) (string, error) {
	if f.Flags.Namespace != "" {
		return f.Flags.Namespace, nil
	}
	if ns := f.Sys.Env("KN_LITE_NAMESPACE"); ns != "" {
		return ns, nil
	}
	if project != nil {
		// Deploy.Namespace is where func put it the last time.
		for _, ns := range []string{project.Namespace, project.Deploy.Namespace} {
			if ns != "" {
				return ns, nil
			}
		}
	}
	cfg, err := f.Config()
	if err != nil {
		return "", err
	}
	return cfg.Namespace, nil
}
