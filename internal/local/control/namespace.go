package control

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// defaultAccount is the service account that each namespace has.
const defaultAccount = "default"

// defaultNode is the name of this machine as a node.
const defaultNode = "kn-lite"

// accountOf returns the service account of a pod.
func accountOf(spec *corev1.PodSpec) string { return cmp.Or(spec.ServiceAccountName, defaultAccount) }

// bootstrap makes what is there before any client comes.
func (c *Controller) bootstrap() error {
	for _, name := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem} {
		if _, ok := store.Get[*corev1.Namespace](c.Store, "", name); !ok {
			if _, err := create(c, newNamespace(name)); err != nil {
				return fmt.Errorf("namespace %s: %w", name, err)
			}
		}
		if err := c.reconcileNamespace(name); err != nil {
			return fmt.Errorf("namespace %s: %w", name, err)
		}
	}
	if _, ok := store.Get[*corev1.Node](c.Store, "", c.Options.Node); ok {
		return nil
	}
	_, err := create(c, newNode(c.Options.Node, c.Now()))
	return err
}

func newNamespace(name string) *corev1.Namespace {
	return &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}},
		Spec:       corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}},
		Status:     corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
	}
}

// reconcileNamespace gives a namespace its service account, and empties one that is
// gone.
func (c *Controller) reconcileNamespace(name string) error {
	namespace, ok := store.Get[*corev1.Namespace](c.Store, "", name)
	if !ok || namespace.DeletionTimestamp != nil {
		return c.emptyNamespace(name)
	}
	if namespace.Status.Phase == "" {
		next := namespace.DeepCopy()
		next.Status.Phase = corev1.NamespaceActive
		if err := c.writeStatus(namespace, next); err != nil {
			return err
		}
	}
	if _, ok := store.Get[*corev1.ServiceAccount](c.Store, name, defaultAccount); ok {
		return nil
	}
	_, err := create(c, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: defaultAccount, Namespace: name}})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// alive reports whether a namespace is there to stay; "" is where objects are that belong
// to none.
func (c *Controller) alive(name string) bool {
	namespace, ok := store.Get[*corev1.Namespace](c.Store, "", name)
	return name == "" || ok && namespace.DeletionTimestamp == nil
}

// emptyNamespace deletes all that is in a namespace; owners first, so that nothing is
// made anew meanwhile.
func (c *Controller) emptyNamespace(name string) error {
	for _, kind := range c.Store.Kinds() {
		if !kind.Namespaced {
			continue
		}
		objects, _ := c.Store.List(kind, name)
		for _, object := range objects {
			uid := object.GetUID()
			if err := c.remove(object, metav1.Preconditions{UID: &uid}); err != nil {
				return err
			}
		}
	}
	return nil
}

// newNode returns this machine as an object.
func newNode(name string, now time.Time) *corev1.Node {
	at := metav1.NewTime(now.Truncate(time.Second))
	resources := corev1.ResourceList{
		corev1.ResourceCPU:  *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
		corev1.ResourcePods: resource.MustParse("1000"),
	}
	if bytes := memory(); bytes > 0 {
		resources[corev1.ResourceMemory] = *resource.NewQuantity(bytes, resource.BinarySI)
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			corev1.LabelHostname: name, corev1.LabelOSStable: runtime.GOOS, corev1.LabelArchStable: runtime.GOARCH,
		}},
		Status: corev1.NodeStatus{
			Capacity: resources, Allocatable: resources,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: net.IPv4(127, 0, 0, 1).String()},
				{Type: corev1.NodeHostName, Address: hostname()},
			},
			Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status",
				LastHeartbeatTime: at, LastTransitionTime: at,
			}},
			NodeInfo: corev1.NodeSystemInfo{
				OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH, KernelVersion: kernel(), OSImage: "this machine", ContainerRuntimeVersion: "kn-lite://",
			},
		},
	}
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

// memory returns the bytes of this machine, 0 where they are not known.
func memory() int64 {
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	var kilobytes int64
	if _, err := fmt.Sscanf(string(raw), "MemTotal: %d kB", &kilobytes); err != nil {
		return 0
	}
	return kilobytes << 10
}

func kernel() string {
	raw, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return string(raw[:max(len(raw)-1, 0)])
}
