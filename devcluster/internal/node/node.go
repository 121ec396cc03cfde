// Package node says, as plain data, which programs make up a node and how each is
// started. Paths in it are paths inside the machine (machine.Root and below).
package node

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"

	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/machine"
	"github.com/kn-lite/kn-lite/devcluster/internal/manifests"
)

// Binaries are the programs' paths inside the machine.
type Binaries struct {
	// Node is the multi-call binary; Traefik may be the same file.
	Node, Traefik    string
	Etcd, Containerd string
	// CNI is the folder of the CNI plugins.
	CNI string
}

// Spec is what a node depends on.
type Spec struct {
	Instance instance.Instance
	Binaries Binaries
	// CgroupV1 tells the kubelet to accept v1 hierarchies.
	CgroupV1 bool
	// Snapshotter of containerd: "overlayfs", or "native" where overlays cannot nest.
	Snapshotter string
	// PauseImage is the full reference of the sandbox image.
	PauseImage string
}

// Ports inside the machine. Nothing else lives there, so they are fixed.
const (
	apiPort            = 6443
	ingressPort        = 80
	privateIngressPort = 8081
	traefikPingPort    = 8082
	corednsReadyPort   = 8181
)

// IngressPorts are Traefik's public and private entry points on the node's address.
func IngressPorts() (public, private int) { return ingressPort, privateIngressPort }

// Component is one long-running program of the node.
type Component struct {
	Name string
	Argv []string
	Env  []string
	// Probe reports whether it works.
	Probe Probe
}

// Probe is one way to ask a component for its health; one field is set.
type Probe struct {
	// URL answers 200 inside the machine's network. Certificates are not checked:
	// it asks "do you work", not "who are you".
	URL string
	// Socket is a path inside the machine that accepts connections.
	Socket string
}

// Names of the components, in the order in which they are started.
const (
	Relay             = "relay"
	Registry          = "registry"
	Etcd              = "etcd"
	Containerd        = "containerd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kubelet           = "kubelet"
	Proxy             = "kube-proxy"
	CoreDNS           = "coredns"
	Traefik           = "traefik"
)

// Names lists all components in the order in which they are started.
func Names() []string {
	return []string{Relay, Registry, Etcd, Containerd, APIServer, ControllerManager, Scheduler, Kubelet, Proxy, CoreDNS, Traefik}
}

func in(parts ...string) string { return path.Join(append([]string{machine.Root}, parts...)...) }

// ContainerdSocket is where containerd listens inside the machine.
const ContainerdSocket = "/run/containerd/containerd.sock"

// APIURL is the API server as the components inside reach it.
func APIURL() string {
	return "https://" + netip.AddrPortFrom(instance.Network().Node, apiPort).String()
}

// Components describes every component but the relay, by name.
func (s Spec) Components() map[string]Component {
	out := map[string]Component{}
	for _, c := range []Component{
		s.registry(), s.etcd(), s.containerd(), s.apiServer(), s.controllerManager(),
		s.scheduler(), s.kubelet(), s.proxy(), s.coreDNS(), s.traefik(),
	} {
		out[c.Name] = c
	}
	return out
}

func (s Spec) registry() Component {
	port := strconv.Itoa(s.Instance.Ports.Registry)
	return Component{
		Name: Registry,
		// All addresses of the machine: containerd pulls from the loopback one, a pod
		// that pushes an image uses the node's.
		Argv:  []string{s.Binaries.Node, "registry", "--listen=0.0.0.0:" + port, "--dir=" + in("registry")},
		Probe: Probe{URL: "http://127.0.0.1:" + port + "/v2/"},
	}
}

func (s Spec) etcd() Component {
	return Component{
		Name: Etcd,
		Argv: []string{
			s.Binaries.Etcd, "--name=devcluster", "--data-dir=" + in("etcd"),
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=devcluster=http://127.0.0.1:2380",
			// The data survives a killed process without it, and a development cluster
			// need not survive a power cut.
			"--unsafe-no-fsync", "--log-level=warn",
		},
		Probe: Probe{URL: "http://127.0.0.1:2379/health"},
	}
}

func (s Spec) containerd() Component {
	return Component{
		Name:  Containerd,
		Argv:  []string{s.Binaries.Containerd, "--config=" + in("config", "containerd.toml"), "--log-level=warn"},
		Probe: Probe{Socket: ContainerdSocket},
	}
}

func (s Spec) apiServer() Component {
	net := instance.Network()
	return Component{
		Name: APIServer,
		Argv: []string{
			s.Binaries.Node, APIServer,
			"--advertise-address=" + net.Node.String(), "--bind-address=0.0.0.0", "--secure-port=" + strconv.Itoa(apiPort),
			"--etcd-servers=http://127.0.0.1:2379",
			"--service-cluster-ip-range=" + net.Services.String(),
			"--tls-cert-file=" + in("pki", "apiserver.crt"), "--tls-private-key-file=" + in("pki", "apiserver.key"),
			"--client-ca-file=" + in("pki", "ca.crt"),
			"--kubelet-certificate-authority=" + in("pki", "ca.crt"),
			"--kubelet-client-certificate=" + in("pki", "apiserver-kubelet.crt"), "--kubelet-client-key=" + in("pki", "apiserver-kubelet.key"),
			// Otherwise logs and exec would have to resolve the node's name.
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + in("pki", "sa.pub"), "--service-account-signing-key-file=" + in("pki", "sa.key"),
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true", "--profiling=false",
			// The node goes to zero and back in seconds; nobody reads yesterday's events.
			"--event-ttl=1h",
		},
		Probe: Probe{URL: APIURL() + "/readyz"},
	}
}

func kubeconfig(file string) string { return "--kubeconfig=" + in("pki", file+".kubeconfig") }

func (s Spec) controllerManager() Component {
	return Component{
		Name: ControllerManager,
		Argv: []string{
			s.Binaries.Node, ControllerManager, kubeconfig(ControllerManager),
			"--bind-address=127.0.0.1", "--leader-elect=false", "--use-service-account-credentials=true",
			"--service-account-private-key-file=" + in("pki", "sa.key"), "--root-ca-file=" + in("pki", "ca.crt"),
			"--cluster-signing-cert-file=" + in("pki", "ca.crt"), "--cluster-signing-key-file=" + in("pki", "ca.key"),
			"--flex-volume-plugin-dir=" + in("kubelet", "volume-plugins"), "--profiling=false",
		},
		Probe: Probe{URL: "https://127.0.0.1:10257/healthz"},
	}
}

func (s Spec) scheduler() Component {
	return Component{
		Name: Scheduler,
		Argv: []string{
			s.Binaries.Node, Scheduler, kubeconfig(Scheduler),
			"--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
		},
		Probe: Probe{URL: "https://127.0.0.1:10259/healthz"},
	}
}

func (s Spec) kubelet() Component {
	return Component{
		Name: Kubelet,
		Argv: []string{
			s.Binaries.Node, Kubelet, kubeconfig(Kubelet),
			"--config=" + in("config", "kubelet.yaml"), "--root-dir=" + in("kubelet"),
			"--hostname-override=" + s.Instance.Node(), "--node-ip=" + instance.Network().Node.String(), "--v=1",
		},
		Probe: Probe{URL: "http://127.0.0.1:10248/healthz"},
	}
}

func (s Spec) proxy() Component {
	return Component{
		Name: Proxy,
		Argv: []string{
			s.Binaries.Node, Proxy, "--config=" + in("config", "kube-proxy.yaml"),
			"--hostname-override=" + s.Instance.Node(),
		},
		Probe: Probe{URL: "http://127.0.0.1:10256/healthz"},
	}
}

func (s Spec) coreDNS() Component {
	return Component{
		Name:  CoreDNS,
		Argv:  []string{s.Binaries.Node, CoreDNS, "-conf", in("config", "Corefile")},
		Probe: Probe{URL: fmt.Sprintf("http://127.0.0.1:%d/ready", corednsReadyPort)},
	}
}

func (s Spec) traefik() Component {
	ip := instance.Network().Node
	at := func(port int) string { return netip.AddrPortFrom(ip, uint16(port)).String() }
	const knative = "--providers.knative."
	return Component{
		Name: Traefik,
		Argv: []string{
			s.Binaries.Traefik, Traefik,
			"--entrypoints.public.address=" + at(ingressPort), "--entrypoints.private.address=" + at(privateIngressPort),
			fmt.Sprintf("--entrypoints.traefik.address=127.0.0.1:%d", traefikPingPort), "--ping=true",
			"--experimental.knative=true", "--providers.knative=true",
			knative + "publicentrypoints=public", knative + "privateentrypoints=private",
			knative + "publicservice.name=" + manifests.IngressPublicService, knative + "publicservice.namespace=" + manifests.IngressNamespace,
			knative + "privateservice.name=" + manifests.IngressPrivateService, knative + "privateservice.namespace=" + manifests.IngressNamespace,
			// A changed split should be felt at once, not after the default's two seconds.
			"--providers.providersthrottleduration=100ms",
			"--log.level=WARN",
		},
		Env:   []string{"KUBECONFIG=" + in("pki", Traefik+".kubeconfig")},
		Probe: Probe{URL: fmt.Sprintf("http://127.0.0.1:%d/ping", traefikPingPort)},
	}
}

// IngressTarget is where the relay leads the host's ingress port: the public entry
// point, inside.
func IngressTarget() string {
	return netip.AddrPortFrom(instance.Network().Node, ingressPort).String()
}

// APITarget is where the relay leads the host's API port.
func APITarget() string { return netip.AddrPortFrom(instance.Network().Node, apiPort).String() }
