package main

import (
	"context"
	"flag"
	"os"
	_ "time/tzdata" // CronJobs name time zones; the host may have none

	"github.com/spf13/cobra"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // exec credentials in kubeconfig files
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectlcmd "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"
)

// runKube builds and runs one command. CoreDNS registers global flags of its
// own, --version among them, which Kubernetes' commands would take for theirs.
func runKube(build func() *cobra.Command) int {
	kept := flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	flag.VisitAll(func(f *flag.Flag) {
		switch f.Name {
		case "conf", "dns.port", "p", "pidfile", "plugins", "quiet", "version":
		default:
			kept.Var(f.Value, f.Name, f.Usage)
		}
	})
	flag.CommandLine = kept
	return cli.Run(build())
}

func kubeAPIServer(context.Context) int { return runKube(apiserver.NewAPIServerCommand) }

func kubeControllerManager(context.Context) int {
	return runKube(controllermanager.NewControllerManagerCommand)
}

func kubeScheduler(context.Context) int {
	return runKube(func() *cobra.Command { return scheduler.NewSchedulerCommand() })
}

func kubeProxy(context.Context) int { return runKube(proxy.NewProxyCommand) }

func kubelet(ctx context.Context) int {
	return runKube(func() *cobra.Command { return kubeletapp.NewKubeletCommand(ctx) })
}

func kubectl(context.Context) int {
	if err := cli.RunNoErrOutput(kubectlcmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err) // prints and exits with kubectl's own code
	}
	return 0
}
