package node

import (
	"net/netip"

	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/pki"
)

// Admin is the base name of the certificate that users get.
const Admin = "admin"

// Certificates lists what the components prove themselves with. Users and groups
// are those that Kubernetes' own bootstrap roles are bound to; coredns and traefik
// get theirs from Objects.
func Certificates(i instance.Instance) []pki.Subject {
	net := instance.Network()
	loopback := netip.MustParseAddr("127.0.0.1")
	return []pki.Subject{
		{
			File: "apiserver", User: "kube-apiserver",
			Names:     []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
			Addresses: []netip.Addr{net.Node, net.Kubernetes, i.Address, loopback},
		},
		{File: "apiserver-kubelet", User: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}},
		{
			File: Kubelet, User: "system:node:" + i.Node(), Groups: []string{"system:nodes"},
			Names: []string{i.Node(), "localhost"}, Addresses: []netip.Addr{net.Node, loopback},
		},
		{File: ControllerManager, User: "system:kube-controller-manager"},
		{File: Scheduler, User: "system:kube-scheduler"},
		{File: Proxy, User: "system:kube-proxy"},
		{File: CoreDNS, User: "devcluster:coredns"},
		{File: Traefik, User: "devcluster:traefik"},
		{File: Admin, User: "devcluster-admin", Groups: []string{"system:masters"}},
	}
}

// Kubeconfigs are the components that talk to the API server, each with the
// certificate of its name.
func Kubeconfigs() []string {
	return []string{Kubelet, ControllerManager, Scheduler, Proxy, CoreDNS, Traefik}
}
