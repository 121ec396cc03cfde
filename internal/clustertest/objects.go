package clustertest

import (
	"context"
	"errors"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// testObjects: what a service refers to can be seen to be there, or not.
func testObjects(s *suite) {
	if err := s.Client.CheckNamespace(s.ctx); err != nil {
		s.Errorf("the namespace: %v", err)
	}
	names, err := s.Client.NamespaceNames(s.ctx)
	if err != nil || !strings.Contains(strings.Join(names, " ")+" ", s.Wire.Namespace+" ") {
		s.Errorf("namespaces %v, %v", names, err)
	}
	exists := func(kind, name string, want bool) {
		s.Helper()
		if got, err := s.Client.Exists(s.ctx, kind, name); err != nil || got != want {
			s.Errorf("%s/%s exists: %v, %v, want %v", kind, name, got, err, want)
		}
	}
	exists("secret", "login", false)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "login"}, StringData: map[string]string{"password": "hush"}}
	if err := s.Client.CreateSecret(s.ctx, secret); err != nil {
		s.Fatal(err)
	}
	exists("secret", "login", true)
	s.wantKind("the same secret again", s.Client.CreateSecret(s.ctx, secret), fault.Conflict)
	if a := s.Wire.do(s.ctx, "GET", s.Wire.core("secrets/login"), ""); !strings.Contains(a.body, `"aHVzaA=="`) || !strings.Contains(a.body, `"Opaque"`) {
		s.Errorf("the secret reads %s", a.body)
	}
	for range 2 { // that there is none is no error
		if err := s.Client.DeleteSecret(s.ctx, "login"); err != nil {
			s.Error(err)
		}
	}
	exists("secret", "login", false)

	exists("configmap", "settings", false)
	if a := s.Wire.do(s.ctx, "POST", s.Wire.core("configmaps"), `{"metadata":{"name":"settings"},"data":{"color":"blue"}}`); a.code != http.StatusCreated {
		s.Errorf("a config map: %d %s", a.code, a.body)
	}
	exists("configmap", "settings", true)
	if a := s.Wire.do(s.ctx, "POST", s.Wire.core("serviceaccounts"), `{"metadata":{"name":"robot"}}`); a.code != http.StatusCreated {
		s.Errorf("a service account: %d %s", a.code, a.body)
	}
	exists("serviceaccount", "robot", true)
	exists("serviceaccount", "nobody", false)

	rights := []cluster.Right{{Verb: "create", Resource: "services.serving.knative.dev"}, {Verb: "get", Resource: "pods/log"}}
	if missing := s.Client.MissingRights(s.ctx, rights); len(missing) > 0 {
		s.Errorf("missing rights: %v", missing)
	}
	_, err = s.Client.GetService(s.ctx, "none")
	s.wantKind("no such service", err, fault.NotFound, "not found in namespace "+s.Wire.Namespace)
	s.wantKind("the deletion of no service", s.Client.DeleteService(s.ctx, "none", false), fault.NotFound)
}

// testDeletion: in the foreground a service is the last to go; in the background it
// goes first and takes the others with it.
func testDeletion(s *suite) {
	failing := func(svc *servingv1.Service) { // nothing that has to be stopped
		svc.Spec.Template.Name = "fn-v1"
		s.Break(svc)
	}
	there := func() string {
		rev, err := s.Cluster.FindRevision(s.ctx, "fn-v1")
		if err != nil {
			s.Fatal(err)
		}
		if rev == nil {
			return "no fn-v1"
		}
		return ""
	}
	s.create(failing)
	s.eventually("the revision is there", there)
	if err := s.Client.DeleteService(s.ctx, "fn", true); err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.ctx, 4*s.Within)
	defer cancel()
	err := s.Client.WatchService(ctx, "fn", func(svc *servingv1.Service) error {
		if svc == nil {
			return cluster.ErrStop
		}
		return nil
	})
	if err != nil {
		s.Fatalf("the service did not go: %v", err)
	}
	if there() == "" {
		s.Error("the service is gone, and its revision is there still")
	}

	s.create(failing)
	s.eventually("the revision is there again", there)
	if err := s.Client.DeleteService(s.ctx, "fn", false); err != nil {
		s.Fatal(err)
	}
	if svc, err := s.Client.FindService(s.ctx, "fn"); err != nil || svc != nil {
		s.Errorf("deleted in the background: %v, %v", svc, err)
	}
	s.eventually("nothing is left", func() string {
		_, routeErr := s.Client.GetRoute(s.ctx, "fn")
		config, configErr := s.Client.FindConfiguration(s.ctx, "fn")
		if fault.KindOf(routeErr) == fault.NotFound && config == nil && configErr == nil && there() != "" {
			return ""
		}
		return errors.Join(errors.New("route, configuration or revision"), routeErr, configErr).Error()
	})
}
