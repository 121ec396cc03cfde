package cluster

import (
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// LocalContext is the name of the embedded platform, which its errors tell how to start.
const LocalContext = "kn-lite-local"

// Access is a cluster and the right to use it, as a kubeconfig has it.
type Access struct {
	Name      string // of the context, the cluster and the user
	Server    string // URL
	CA        []byte // PEM
	Token     string
	Namespace string
}

// AddContext writes access to the kubeconfig file that kubectl would write to, as
// its current context, and returns the file and the context that was current
// before ("" for none). An entry of the same name is replaced.
func AddContext(o Options, access Access) (file, previous string, err error) {
	paths := pathOptions(o)
	err = change(paths, func(config *api.Config) {
		previous = config.CurrentContext
		config.Clusters[access.Name] = &api.Cluster{Server: access.Server, CertificateAuthorityData: access.CA}
		config.AuthInfos[access.Name] = &api.AuthInfo{Token: access.Token}
		config.Contexts[access.Name] = &api.Context{Cluster: access.Name, AuthInfo: access.Name, Namespace: access.Namespace}
		config.CurrentContext = access.Name
	})
	return paths.GetDefaultFilename(), previous, err
}

// RemoveContext undoes AddContext: the context previous is current again, if name
// is still the current one and previous is still there.
func RemoveContext(o Options, name, previous string) error {
	return change(pathOptions(o), func(config *api.Config) {
		delete(config.Clusters, name)
		delete(config.AuthInfos, name)
		delete(config.Contexts, name)
		if config.CurrentContext != name {
			return
		}
		config.CurrentContext = ""
		if config.Contexts[previous] != nil {
			config.CurrentContext = previous
		}
	})
}

// pathOptions are kubectl's: the file of --kubeconfig, else the files of
// $KUBECONFIG, else ~/.kube/config.
func pathOptions(o Options) *clientcmd.PathOptions {
	found := files(o.Env)
	paths := clientcmd.NewDefaultPathOptions()
	paths.EnvVar = ""
	paths.GlobalFile = found[0]
	paths.LoadingRules = &clientcmd.ClientConfigLoadingRules{Precedence: found, ExplicitPath: o.Kubeconfig, DoNotResolvePaths: true}
	return paths
}

func change(paths *clientcmd.PathOptions, edit func(*api.Config)) error {
	config, err := paths.GetStartingConfig()
	if err == nil {
		edit(config)
		err = clientcmd.ModifyConfig(paths, *config, false)
	}
	if err != nil {
		return fault.New(fault.Failure, "cluster.config", paths.GetDefaultFilename(), "%w", err).
			WithHint("the file must be a kubeconfig in YAML that you may write; {Kubeconfig} names another one")
	}
	return nil
}
