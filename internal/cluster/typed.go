package cluster

import (
	"net/http"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"
)

// group is a client for the kinds of one API group that kn-lite reads.
//
// client-go's own clients for core and apps register every group of Kubernetes
// and bring server-side apply with its schemas along: a quarter of the binary
// and most of the time it takes to start. This is the same generic client
// below, without them.
type group struct {
	rest   rest.Interface
	params runtime.ParameterCodec
}

func newGroup(config *rest.Config, connections *http.Client, gv schema.GroupVersion, register func(*runtime.Scheme) error) (group, error) {
	scheme := runtime.NewScheme()
	if err := register(scheme); err != nil {
		return group{}, err
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // Status, and the options of a request
	own := rest.CopyConfig(config)
	own.GroupVersion = &gv
	own.APIPath = "/apis"
	if gv.Group == "" {
		own.APIPath = "/api"
	}
	own.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientForConfigAndClient(own, connections)
	if err != nil {
		return group{}, err
	}
	return group{rest: client, params: runtime.NewParameterCodec(scheme)}, nil
}

// coreGroup is the group without a name, v1.
type coreGroup struct{ group }

func newCore(config *rest.Config, connections *http.Client) (coreGroup, error) {
	g, err := newGroup(config, connections, corev1.SchemeGroupVersion, corev1.AddToScheme)
	return coreGroup{g}, err
}

func (g coreGroup) Pods(namespace string) podClient {
	return podClient{gentype.NewClientWithList("pods", g.rest, g.params, namespace,
		func() *corev1.Pod { return &corev1.Pod{} }, func() *corev1.PodList { return &corev1.PodList{} }), namespace, g}
}

func (g coreGroup) Events(namespace string) *gentype.ClientWithList[*corev1.Event, *corev1.EventList] {
	return gentype.NewClientWithList("events", g.rest, g.params, namespace,
		func() *corev1.Event { return &corev1.Event{} }, func() *corev1.EventList { return &corev1.EventList{} })
}

func (g coreGroup) Services(namespace string) *gentype.ClientWithList[*corev1.Service, *corev1.ServiceList] {
	return gentype.NewClientWithList("services", g.rest, g.params, namespace,
		func() *corev1.Service { return &corev1.Service{} }, func() *corev1.ServiceList { return &corev1.ServiceList{} })
}

func (g coreGroup) Nodes() *gentype.ClientWithList[*corev1.Node, *corev1.NodeList] {
	return gentype.NewClientWithList("nodes", g.rest, g.params, "",
		func() *corev1.Node { return &corev1.Node{} }, func() *corev1.NodeList { return &corev1.NodeList{} })
}

func (g coreGroup) Namespaces() *gentype.ClientWithList[*corev1.Namespace, *corev1.NamespaceList] {
	return gentype.NewClientWithList("namespaces", g.rest, g.params, "",
		func() *corev1.Namespace { return &corev1.Namespace{} }, func() *corev1.NamespaceList { return &corev1.NamespaceList{} })
}

func (g coreGroup) Secrets(namespace string) *gentype.ClientWithList[*corev1.Secret, *corev1.SecretList] {
	return gentype.NewClientWithList("secrets", g.rest, g.params, namespace,
		func() *corev1.Secret { return &corev1.Secret{} }, func() *corev1.SecretList { return &corev1.SecretList{} })
}

func (g coreGroup) ConfigMaps(namespace string) *gentype.ClientWithList[*corev1.ConfigMap, *corev1.ConfigMapList] {
	return gentype.NewClientWithList("configmaps", g.rest, g.params, namespace,
		func() *corev1.ConfigMap { return &corev1.ConfigMap{} }, func() *corev1.ConfigMapList { return &corev1.ConfigMapList{} })
}

// podClient adds the one request on pods that is not about an object.
type podClient struct {
	*gentype.ClientWithList[*corev1.Pod, *corev1.PodList]
	namespace string
	group     coreGroup
}

// GetLogs is the request for a container's log.
func (p podClient) GetLogs(name string, o *corev1.PodLogOptions) *rest.Request {
	return p.group.rest.Get().Namespace(p.namespace).Resource("pods").Name(name).SubResource("log").
		VersionedParams(o, p.group.params)
}

// appsGroup is apps/v1.
type appsGroup struct{ group }

func newApps(config *rest.Config, connections *http.Client) (appsGroup, error) {
	g, err := newGroup(config, connections, appsv1.SchemeGroupVersion, appsv1.AddToScheme)
	return appsGroup{g}, err
}

func (g appsGroup) Deployments(namespace string) *gentype.ClientWithList[*appsv1.Deployment, *appsv1.DeploymentList] {
	return gentype.NewClientWithList("deployments", g.rest, g.params, namespace,
		func() *appsv1.Deployment { return &appsv1.Deployment{} }, func() *appsv1.DeploymentList { return &appsv1.DeploymentList{} })
}

// batchGroup is batch/v1.
type batchGroup struct{ group }

func newBatch(config *rest.Config, connections *http.Client) (batchGroup, error) {
	g, err := newGroup(config, connections, batchv1.SchemeGroupVersion, batchv1.AddToScheme)
	return batchGroup{g}, err
}

func (g batchGroup) Jobs(namespace string) *gentype.ClientWithList[*batchv1.Job, *batchv1.JobList] {
	return gentype.NewClientWithList("jobs", g.rest, g.params, namespace,
		func() *batchv1.Job { return &batchv1.Job{} }, func() *batchv1.JobList { return &batchv1.JobList{} })
}
