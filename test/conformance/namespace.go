package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// space is the namespace that the tests work in.
type space struct {
	client  kubernetes.Interface
	name    string
	gateway string // NAMESPACE/NAME
}

// prepare makes the namespace and what the tests expect to find in it.
func prepare(ctx context.Context, o options) (*space, error) {
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	s := &space{client: client, name: fmt.Sprintf("conformance-%d", os.Getpid()), gateway: o.gateway}
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }
	core := client.CoreV1()
	if _, err := core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: named(s.name)}, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("namespace %s: %w", s.name, err)
	}
	// What test/config/test-resources.yaml has upstream.
	_, err = core.ConfigMaps(s.name).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: named("conformance-test-configmap"), Data: map[string]string{"testKey": "testValue"},
	}, metav1.CreateOptions{})
	if err == nil {
		_, err = core.Secrets(s.name).Create(ctx, &corev1.Secret{
			ObjectMeta: named("conformance-test-secret"), StringData: map[string]string{"testKey": "testValue"},
		}, metav1.CreateOptions{})
	}
	if err == nil && s.gateway == "" {
		// The tests look the ingress up before they look at its address.
		s.gateway = s.name + "/gateway"
		_, err = core.Services(s.name).Create(ctx, &corev1.Service{
			ObjectMeta: named("gateway"),
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: o.ingress},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", s.name, err)
	}
	return s, nil
}

// environment is how the tests are told where the ingress is.
func (s *space) environment() []string {
	namespace, name, _ := strings.Cut(s.gateway, "/")
	return []string{"GATEWAY_NAMESPACE_OVERRIDE=" + namespace, "GATEWAY_OVERRIDE=" + name}
}

func (s *space) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return s.client.CoreV1().Namespaces().Delete(ctx, s.name, metav1.DeleteOptions{})
}

// testFlags are the flags of Knative's tests. Beta features are those that Serving
// has on by default: several containers, emptyDir.
func testFlags(o options, s *space, template string) []string {
	flags := []string{
		"--kubeconfig=" + o.kubeconfig, "--test-namespace=" + s.name,
		"--imagetemplate=" + template, "--disable-logstream", "--enable-beta",
	}
	if o.ingress != "" {
		flags = append(flags, "--ingressendpoint="+o.ingress)
	}
	return flags
}
