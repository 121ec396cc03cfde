package node

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/machine"
)

//go:embed objects.yaml
var objects []byte

// Objects is the YAML of what the node's own programs need in the cluster.
func Objects() []byte { return objects }

// LocalRegistry is the YAML of what tells tools where pods find the registry, in
// the form that Kubernetes' own proposal for clusters on one machine gives it
// (https://github.com/kubernetes/enhancements/tree/master/keps/sig-cluster-lifecycle/generic/1755-communicating-a-local-registry).
func LocalRegistry(i instance.Instance) []byte {
	return fmt.Appendf(nil, `---
apiVersion: v1
kind: Namespace
metadata:
  name: kube-public
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: local-registry-hosting
  namespace: kube-public
data:
  localRegistryHosting.v1: |
    host: %q
    hostFromContainerRuntime: %q
    hostFromClusterNetwork: "%s:%d"
`, i.Registry(), i.Registry(), instance.Network().Node, i.Ports.Registry)
}

// Files are the configuration files of all components: path below machine.Root →
// content.
func (s Spec) Files() (map[string][]byte, error) {
	kubelet, err := yaml.Marshal(s.kubeletConfig())
	if err != nil {
		return nil, err
	}
	proxy, err := yaml.Marshal(s.proxyConfig())
	if err != nil {
		return nil, err
	}
	cni, err := json.MarshalIndent(cniConfig(), "", "  ")
	if err != nil {
		return nil, err
	}
	registry := instance.Network().Node.String() + ":" + fmt.Sprint(s.Instance.Ports.Registry)
	return map[string][]byte{
		"config/kubelet.yaml":        kubelet,
		"config/kube-proxy.yaml":     proxy,
		"config/cni/10-pod.conflist": cni,
		"config/containerd.toml":     []byte(s.containerdConfig()),
		"config/Corefile":            []byte(corefile()),
		// Loopback registries are plain HTTP to containerd by default; the node's
		// address, which pods push to, has to be told.
		"config/certs.d/" + registry + "/hosts.toml": []byte(fmt.Sprintf("server = %q\n", "http://"+registry)),
	}, nil
}

type object = map[string]any

func (s Spec) kubeletConfig() object {
	return object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": in("pki", "ca.crt")},
		},
		"authorization":            object{"mode": "Webhook"},
		"tlsCertFile":              in("pki", "kubelet.crt"),
		"tlsPrivateKeyFile":        in("pki", "kubelet.key"),
		"containerRuntimeEndpoint": "unix://" + ContainerdSocket,
		"cgroupDriver":             "cgroupfs",
		"cgroupRoot":               s.Instance.Cgroup(),
		"cgroupsPerQOS":            true,
		"enforceNodeAllocatable":   []string{},
		"failCgroupV1":             !s.CgroupV1,
		// Pods keep the resolv.conf they were born with: this must be right from the start.
		"clusterDNS":      []string{instance.Network().Node.String()},
		"clusterDomain":   "cluster.local",
		"resolvConf":      "/etc/resolv.conf",
		"podLogsDir":      in("logs", "pods"),
		"volumePluginDir": in("kubelet", "volume-plugins"),
		"failSwapOn":      false,
		"maxPods":         250,
		// Images come from this machine's own disk: nothing to be gentle with.
		"serializeImagePulls": false,
		"registryPullQPS":     0,
		"eventRecordQPS":      0,
		"kubeAPIQPS":          200,
		"kubeAPIBurst":        400,
		// The host's disk is not ours to judge: no eviction, no image collection.
		"evictionHard": object{
			"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%", "imagefs.inodesFree": "0%",
			"memory.available": "100Mi",
		},
		"imageGCHighThresholdPercent": 100,
		"protectKernelDefaults":       false,
		"nodeStatusUpdateFrequency":   "5s",
		"nodeStatusReportFrequency":   "1m",
		"shutdownGracePeriod":         "0s",
		"staticPodPath":               "",
		"enableServer":                true,
	}
}

func (s Spec) proxyConfig() object {
	return object{
		"apiVersion":       "kubeproxy.config.k8s.io/v1alpha1",
		"kind":             "KubeProxyConfiguration",
		"clientConnection": object{"kubeconfig": in("pki", Proxy+".kubeconfig")},
		// nftables mode leaves empty endpoint chains with the nft of Debian 12.
		"mode":               "iptables",
		"clusterCIDR":        instance.Network().Pods.String(),
		"bindAddress":        "0.0.0.0",
		"healthzBindAddress": "127.0.0.1:10256",
		"metricsBindAddress": "127.0.0.1:10249",
		// Conntrack limits belong to the host's kernel: zero leaves them alone.
		"conntrack": object{
			"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s",
			"udpTimeout": "0s", "udpStreamTimeout": "0s",
		},
		// A pod that has just come up from zero should not wait a second for its rule.
		"iptables": object{"minSyncPeriod": "100ms", "syncPeriod": "30s"},
	}
}

// cniConfig connects each pod by a cable of its own (ptp), routed and not bridged:
// so a pod's answer to a neighbour always passes the rules that translated the
// question, whether or not the kernel has br_netfilter.
func cniConfig() object {
	return object{
		"cniVersion": "1.0.0",
		"name":       "devcluster",
		"plugins": []object{
			{"type": "ptp", "ipMasq": false, "ipam": object{
				"type":    "host-local",
				"dataDir": "/run/cni-addresses",
				"ranges":  [][]object{{{"subnet": instance.Network().Pods.String()}}},
				"routes":  []object{{"dst": "0.0.0.0/0"}},
			}},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}
}

func (s Spec) containerdConfig() string {
	return strings.NewReplacer(
		"@ROOT@", in("containerd"), "@SOCKET@", ContainerdSocket,
		"@PAUSE@", s.PauseImage, "@SNAPSHOTTER@", s.Snapshotter,
		"@CNI@", s.Binaries.CNI, "@CONFIG@", in("config"),
	).Replace(`version = 2
root = "@ROOT@"
state = "/run/containerd"

[grpc]
  address = "@SOCKET@"

[plugins."io.containerd.internal.v1.opt"]
  path = "/run/containerd-opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "@PAUSE@"
  # Without CAP_SYS_RESOURCE runc may not lower a score and would die of trying.
  restrict_oom_score_adj = true
  # A profile would be loaded into the host's kernel and stay there.
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  max_concurrent_downloads = 8

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "@CNI@"
    conf_dir = "@CONFIG@/cni"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "@SNAPSHOTTER@"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "@CONFIG@/certs.d"
`)
}

// corefile answers for the cluster and for nothing else: a closed machine has no
// resolver to ask, so every other name is refused at once instead of timing out.
func corefile() string {
	return fmt.Sprintf(`cluster.local:53 in-addr.arpa:53 {
    ready 127.0.0.1:%d
    errors
    kubernetes cluster.local in-addr.arpa {
        kubeconfig %s
        ttl 5
    }
}
.:53 {
    template ANY ANY {
        rcode NXDOMAIN
    }
}
`, corednsReadyPort, in("pki", CoreDNS+".kubeconfig"))
}

// Setup is the machine that the node runs in.
func (s Spec) Setup(binds ...machine.Bind) machine.Setup {
	net := instance.Network()
	name := s.Instance.Node()
	return machine.Setup{
		Hostname: name,
		Folder:   s.Instance.Folder,
		Binds:    binds,
		Bridge:   "node0",
		Address:  fmt.Sprintf("%s/%d", net.Node, net.NodeNet.Bits()),
		Routes:   []string{net.Services.String()},
		Sysctls:  map[string]string{"net.ipv4.ip_forward": "1"},
		// kubelet's kernel tunables (pkg/kubelet/cm, setupKernelTunables).
		Pretend: map[string]string{
			"vm.overcommit_memory": "1", "vm.panic_on_oom": "0", "kernel.panic": "10", "kernel.panic_on_oops": "1",
			"kernel.keys.root_maxkeys": "1000000", "kernel.keys.root_maxbytes": "25000000",
		},
		Files: map[string]string{
			"/etc/resolv.conf": fmt.Sprintf("nameserver %s\n", net.Node),
			"/etc/hosts":       fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", net.Node, name),
		},
	}
}
