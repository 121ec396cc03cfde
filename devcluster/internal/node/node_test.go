package node

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/machine"
)

func spec() Spec {
	return Spec{
		Instance: instance.Instance{
			Name: "dev", Folder: "/state/dev", Address: netip.MustParseAddr("127.0.77.3"),
			Ports: instance.Ports{Registry: 5001, Ingress: 81, API: 6444},
		},
		Binaries: Binaries{
			Node: "/n", Traefik: "/t", Etcd: "/usr/bin/etcd", Containerd: "/usr/bin/containerd", CNI: "/usr/lib/cni",
		},
		CgroupV1: true, Snapshotter: "overlayfs", PauseImage: "127.0.77.3:5001/pause@sha256:abc",
	}
}

func TestEveryComponentCanBeStartedAndAsked(t *testing.T) {
	components := spec().Components()
	for _, name := range Names() {
		c, ok := components[name]
		if name == Relay {
			if ok {
				t.Error("the relay is devcluster itself and no program of the node")
			}
			continue
		}
		if !ok || len(c.Argv) == 0 || c.Argv[0] == "" {
			t.Errorf("%s: cannot be started: %+v", name, c)
		}
		if (c.Probe.URL == "") == (c.Probe.Socket == "") {
			t.Errorf("%s: needs exactly one way to be asked: %+v", name, c.Probe)
		}
	}
	if len(components) != len(Names())-1 {
		t.Errorf("%d components, %d names", len(components), len(Names()))
	}
}

// A path that no setting moves out of the machine's folder would end on the host's disk.
func TestFlagsNameOnlyFilesInsideTheMachine(t *testing.T) {
	for name, c := range spec().Components() {
		for _, arg := range append(c.Argv[1:], c.Env...) {
			_, value, _ := strings.Cut(arg, "=")
			if strings.HasPrefix(value, "/") && !strings.HasPrefix(value, machine.Root+"/") {
				t.Errorf("%s: %s", name, arg)
			}
		}
	}
}

func TestEveryKubeconfigHasItsCertificate(t *testing.T) {
	var files []string
	for _, c := range Certificates(spec().Instance) {
		files = append(files, c.File)
	}
	for _, name := range append(Kubeconfigs(), Admin, "apiserver", "apiserver-kubelet") {
		if !slices.Contains(files, name) {
			t.Errorf("%s has no certificate", name)
		}
	}
	// And each component that names a kubeconfig finds it.
	for name, c := range spec().Components() {
		for _, arg := range append(c.Argv, c.Env...) {
			i := strings.Index(arg, machine.Root+"/pki/")
			if i < 0 || !strings.HasSuffix(arg, ".kubeconfig") {
				continue
			}
			file := strings.TrimSuffix(arg[i+len(machine.Root+"/pki/"):], ".kubeconfig")
			if !slices.Contains(Kubeconfigs(), file) {
				t.Errorf("%s: %s is never written", name, arg)
			}
		}
	}
}

func TestAPIServerAnswersUnderEveryNameItIsCalledBy(t *testing.T) {
	for _, c := range Certificates(spec().Instance) {
		if c.File != "apiserver" {
			continue
		}
		for _, want := range []string{"127.0.77.3", "10.77.0.1", "10.77.128.1"} {
			if !slices.Contains(c.Addresses, netip.MustParseAddr(want)) {
				t.Errorf("no %s in %v", want, c.Addresses)
			}
		}
	}
}

func TestFilesAreWellFormedAndAgree(t *testing.T) {
	files, err := spec().Files()
	if err != nil {
		t.Fatal(err)
	}
	var kubelet struct {
		ClusterDNS   []string `json:"clusterDNS"`
		CgroupRoot   string   `json:"cgroupRoot"`
		FailCgroupV1 bool     `json:"failCgroupV1"`
	}
	if err := yaml.Unmarshal(files["config/kubelet.yaml"], &kubelet); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"10.77.0.1"}, kubelet.ClusterDNS); diff != "" || kubelet.FailCgroupV1 || kubelet.CgroupRoot != "/kn-lite-devcluster/dev" {
		t.Errorf("%+v", kubelet)
	}
	var proxy struct {
		Mode      string         `json:"mode"`
		Conntrack map[string]any `json:"conntrack"`
	}
	if err := yaml.Unmarshal(files["config/kube-proxy.yaml"], &proxy); err != nil {
		t.Fatal(err)
	}
	if proxy.Mode != "iptables" || proxy.Conntrack["maxPerCore"] != 0.0 {
		t.Errorf("kube-proxy would change the host: %+v", proxy)
	}
	if !json.Valid(files["config/cni/10-pod.conflist"]) {
		t.Errorf("%s", files["config/cni/10-pod.conflist"])
	}
	containerd := string(files["config/containerd.toml"])
	for _, want := range []string{`sandbox_image = "127.0.77.3:5001/pause@sha256:abc"`, `snapshotter = "overlayfs"`, `bin_dir = "/usr/lib/cni"`} {
		if !strings.Contains(containerd, want) {
			t.Errorf("no %s in\n%s", want, containerd)
		}
	}
	if strings.Contains(containerd, "@"+"ROOT@") || strings.Contains(containerd, "@CONFIG@") {
		t.Errorf("a placeholder was left:\n%s", containerd)
	}
	if text, ok := files["config/certs.d/10.77.0.1:5001/hosts.toml"]; !ok || !strings.Contains(string(text), "http://10.77.0.1:5001") {
		t.Errorf("containerd is not told that the node's registry is plain HTTP: %s", text)
	}
}

func TestSetupSealsTheMachine(t *testing.T) {
	s := spec().Setup()
	if s.Hostname != "devcluster-dev" || s.Address != "10.77.0.1/24" {
		t.Errorf("%+v", s)
	}
	for _, r := range s.Routes {
		if strings.HasPrefix(r, "0.0.0.0/") {
			t.Errorf("a way out: %s", r)
		}
	}
	for name := range s.Sysctls {
		if !strings.HasPrefix(name, "net.") {
			t.Errorf("%s is not the machine's own", name)
		}
	}
}
