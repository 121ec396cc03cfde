// Package machine makes the sealed place a devcluster runs in: one process (the
// machine's init) with pid, mount, network, UTS and IPC namespaces of its own.
//
// Everything a node usually spreads over its host — bridges, routes, iptables
// chains, sysctls, volume mounts, container processes — lands in those namespaces
// and goes away with the init, however it ends. The host keeps one process to kill,
// a cgroup and a folder.
package machine

import "path/filepath"

// Root is where the instance's folder appears inside the machine. Components are
// configured with paths below it, so their sockets stay short wherever the folder is.
const Root = "/run/kn-lite"

// Setup is what the init makes of its namespaces before it reports ready.
type Setup struct {
	// Hostname inside the machine; it is also the Kubernetes node's name.
	Hostname string `json:"hostname"`
	// Folder on the host that appears at Root.
	Folder string `json:"folder"`
	// Binds are more host folders to show inside the machine.
	Binds []Bind `json:"binds,omitempty"`
	// Bridge is the port-less device that owns Address (CIDR notation) and that
	// Routes (CIDR notation) lead to. There is no default route: a packet that no
	// rule translates has nowhere to go.
	Bridge  string   `json:"bridge"`
	Address string   `json:"address"`
	Routes  []string `json:"routes,omitempty"`
	// Sysctls are written; they belong to the network namespace, not to the host.
	Sysctls map[string]string `json:"sysctls,omitempty"`
	// Pretend shows these values for sysctls that the whole host shares. The kubelet
	// insists on setting them; with the right value already to be read it leaves the
	// host's alone.
	Pretend map[string]string `json:"pretend,omitempty"`
	// Files are laid over the host's files of the same path, such as /etc/resolv.conf.
	Files map[string]string `json:"files,omitempty"`
}

// Bind shows Source (on the host) at Target, a path below /run.
type Bind struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// sysctlPath turns "net.ipv4.ip_forward" into its file. A slash in the name
// stands for itself, as in sysctl(8).
func sysctlPath(name string) string {
	out := []byte(name)
	for i, c := range out {
		switch c {
		case '.':
			out[i] = '/'
		case '/':
			out[i] = '.'
		}
	}
	return filepath.Join("/proc/sys", string(out))
}
