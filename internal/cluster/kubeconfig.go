package cluster

import (
	"errors"
	"flag"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// A deploy makes a handful of requests; describing many services makes a few
// hundred. client-go's default of 5 a second would be felt.
const (
	queriesPerSecond = 50
	queryBurst       = 100
)

// noConfigHint is for people who have never had a cluster.
const noConfigHint = "start a platform on this machine with `kn-lite local up -d`,\nor point KUBECONFIG or {Kubeconfig} at a cluster's kubeconfig file (looked in: %s)"

// target is a resolved cluster.
type target struct {
	config    *rest.Config
	namespace string
	context   string
	source    string // the files it was read from, for messages
}

// resolve finds the cluster as kubectl does: --kubeconfig alone, else the
// files of $KUBECONFIG merged in order, else ~/.kube/config, else the service
// account of the pod that kn-lite runs in.
func resolve(o Options) (target, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: o.Kubeconfig, Precedence: files(o.Env)}
	source := strings.Join(rules.Precedence, string(filepath.ListSeparator))
	if o.Kubeconfig != "" {
		source = o.Kubeconfig
	}
	raw, err := rules.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return target{}, fault.New(fault.NotFound, "cluster.config", source, "no such kubeconfig file").
			WithHint(noConfigHint, source)
	}
	if err != nil {
		return target{}, fault.New(fault.Usage, "cluster.config", source, "%w", err).
			WithHint("the file must be a kubeconfig in YAML; `kubectl config view` shows what is read")
	}
	if len(raw.Clusters) == 0 && len(raw.Contexts) == 0 && o.Context == "" {
		return inPod(o, source)
	}
	name := o.Context
	if name == "" {
		name = raw.CurrentContext
	}
	if err := checkContext(raw, name, source); err != nil {
		return target{}, err
	}
	clientConfig := clientcmd.NewNonInteractiveClientConfig(*raw, name, &clientcmd.ConfigOverrides{}, rules)
	config, err := clientConfig.ClientConfig()
	if err != nil {
		return target{}, fault.New(fault.Usage, "cluster.config", "context "+name, "%w", err).
			WithHint("read from %s", source)
	}
	t := target{config: config, context: name, source: source, namespace: o.Namespace}
	if t.namespace == "" {
		if t.namespace, _, err = clientConfig.Namespace(); err != nil {
			return target{}, badConfig(t, err)
		}
	}
	return tuned(t, o), nil
}

// files is where a kubeconfig may be, in kubectl's order.
func files(env func(string) string) []string {
	var out []string
	for _, f := range filepath.SplitList(env("KUBECONFIG")) {
		if f != "" && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	if len(out) > 0 {
		return out
	}
	home := env("HOME")
	if home == "" {
		home = env("USERPROFILE") // Windows
	}
	return []string{filepath.Join(home, ".kube", "config")}
}

// checkContext refuses a context that is not there with the names of those
// that are, which client-go's own message lacks.
func checkContext(raw *api.Config, name, source string) error {
	var known []string
	for n := range raw.Contexts {
		known = append(known, n)
	}
	slices.Sort(known)
	list := "there are: " + strings.Join(known, ", ")
	if len(known) == 0 {
		list = "it defines no context"
	}
	if name == "" {
		return fault.New(fault.Usage, "cluster.config", source, "no current context is set").
			WithHint("choose one with {Context} or `kubectl config use-context`; %s", list)
	}
	if _, ok := raw.Contexts[name]; ok {
		return nil
	}
	err := fault.New(fault.Usage, "cluster.config", "context "+name, "not in %s", source)
	if near := fault.Nearest(name, known); near != "" {
		return err.WithHint("did you mean %s? %s", near, list)
	}
	return err.WithHint("%s", list)
}

// inPod uses the mounted service account when kn-lite runs inside a cluster.
func inPod(o Options, source string) (target, error) {
	if o.Env("KUBERNETES_SERVICE_HOST") == "" {
		return target{}, fault.New(fault.NotFound, "cluster.config", "", "no kubeconfig found, so there is no cluster to talk to").
			WithHint(noConfigHint, source)
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return target{}, fault.New(fault.NotFound, "cluster.config", "service account", "%w", err).
			WithHint("KUBERNETES_SERVICE_HOST is set, so this seems to be a pod; mount its service account token, or set KUBECONFIG")
	}
	t := target{config: config, source: "the pod's service account", namespace: o.Namespace}
	if t.namespace == "" {
		// DeferredLoadingClientConfig would read the same file; "default" is
		// what kubectl falls back to as well.
		t.namespace = podNamespace()
	}
	return tuned(t, o), nil
}

func tuned(t target, o Options) target {
	if t.namespace == "" {
		t.namespace = "default"
	}
	t.config.QPS, t.config.Burst = queriesPerSecond, queryBurst
	t.config.UserAgent = o.UserAgent
	// Warnings would be printed on stderr behind term's back, and so would be what
	// client-go's own goroutines have to say.
	t.config.WarningHandler = rest.NoWarnings{}
	silenceLog()
	return t
}

// silenceLog makes klog print nothing. Errors would go to stderr even when its output
// goes elsewhere, unless it is told that only fatal ones do.
func silenceLog() {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	klog.InitFlags(flags)
	// It is klog's own flag and value, so an error cannot happen.
	_ = flags.Set("stderrthreshold", "FATAL")
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
}

// badConfig is a kubeconfig that parses and cannot be used: a certificate file
// that is missing, a URL that is none.
func badConfig(t target, err error) error {
	return fault.New(fault.Usage, "cluster.config", t.source, "%w", err).
		WithHint("check the entries of context %q; `kubectl config view --minify` shows them", t.context)
}
