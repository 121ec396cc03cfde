package api_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/local/api"
)

// saidTokens say what they were made for.
type saidTokens struct{}

func (saidTokens) AccountToken(_ context.Context, account *corev1.ServiceAccount, audiences []string, bound *authenticationv1.BoundObjectReference, lifetime time.Duration) (string, time.Time, error) {
	object := "nothing"
	if bound != nil {
		object = bound.Kind + " " + bound.Name
	}
	return fmt.Sprintf("%s/%s for %v, %s, with %s", account.Namespace, account.Name, audiences, lifetime, object), time.Unix(1e9, 0), nil
}

// kubectl create token asks for one; what a cluster refuses is refused.
func TestTokenRequest(t *testing.T) {
	p := start(t, func(o *api.Options) { o.Tokens = saidTokens{} })
	const accounts = "/api/v1/namespaces/default/serviceaccounts"
	p.must(201, "POST", accounts, `{"metadata":{"name":"robot"}}`)
	p.must(201, "POST", "/api/v1/namespaces/default/secrets", `{"metadata":{"name":"key"}}`)
	ask := func(spec string) string {
		return `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":` + spec + `}`
	}
	made := p.must(201, "POST", accounts+"/robot/token", ask(`{}`))
	if got := made.field("status", "token"); got != "default/robot for [], 1h0m0s, with nothing" || made.field("kind") != "TokenRequest" || made.field("status", "expirationTimestamp") != "2001-09-09T01:46:40Z" {
		t.Errorf("answered %s", made.body)
	}
	made = p.must(201, "POST", accounts+"/robot/token", ask(`{"audiences":["bank"],"expirationSeconds":600,"boundObjectRef":{"kind":"Secret","apiVersion":"v1","name":"key"}}`))
	if got := made.field("status", "token"); got != "default/robot for [bank], 10m0s, with Secret key" {
		t.Errorf("answered %s", got)
	}
	p.refused(422, "Invalid", "may not specify a duration less than 10 minutes", "POST", accounts+"/robot/token", ask(`{"expirationSeconds":10}`))
	p.refused(422, "Invalid", "larger than 2^32 seconds", "POST", accounts+"/robot/token", ask(`{"expirationSeconds":9000000000}`))
	p.refused(404, "NotFound", `serviceaccounts "nobody" not found`, "POST", accounts+"/nobody/token", ask(`{}`))
	p.refused(404, "NotFound", `secrets "none" not found`, "POST", accounts+"/robot/token", ask(`{"boundObjectRef":{"kind":"Secret","apiVersion":"v1","name":"none"}}`))
	p.refused(409, "Conflict", "does not match the UID in record", "POST", accounts+"/robot/token", ask(`{"boundObjectRef":{"kind":"Secret","apiVersion":"v1","name":"key","uid":"other"}}`))
	p.refused(400, "BadRequest", "cannot bind token", "POST", accounts+"/robot/token", ask(`{"boundObjectRef":{"kind":"Node","apiVersion":"v1","name":"n"}}`))
	p.refused(405, "MethodNotAllowed", "", "GET", accounts+"/robot/token", "")
	p.refused(400, "BadRequest", "", "POST", accounts+"/robot/token", `{`)
}
