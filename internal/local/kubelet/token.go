package kubelet

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// Tokens makes what a projected volume shows of a service account.
type Tokens interface {
	Token(ctx context.Context, pod *corev1.Pod, audience string, lifetime time.Duration) (string, error)
}

const (
	// issuer is what a cluster calls its API server, which is also the audience of a
	// token that names none.
	issuer = "https://kubernetes.default.svc"
	// shortestLifetime is the least that Kubernetes accepts.
	shortestLifetime = 10 * time.Minute
)

// signer makes tokens that look as a cluster's do, signed with a key that lives as
// long as the process. They open nothing: the platform's API has its own token.
type signer struct {
	store *store.Store
	key   ed25519.PrivateKey
}

func newSigner(s *store.Store) *signer {
	_, key, _ := ed25519.GenerateKey(rand.Reader) // never fails
	return &signer{s, key}
}

// Token implements Tokens: a JWT with the claims of a bound service account token.
func (s *signer) Token(_ context.Context, p *corev1.Pod, audience string, lifetime time.Duration) (string, error) {
	if audience == "" {
		audience = issuer
	}
	name, now := accountOf(p), time.Now()
	account := map[string]any{"name": name}
	if object, ok := store.Get[*corev1.ServiceAccount](s.store, p.Namespace, name); ok {
		account["uid"] = object.UID
	}
	claims := map[string]any{
		"iss": issuer, "aud": []string{audience}, "jti": uuid.NewUUID(),
		"sub": strings.Join([]string{"system", "serviceaccount", p.Namespace, name}, ":"),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(max(lifetime, shortestLifetime)).Unix(),
		"kubernetes.io": map[string]any{
			"namespace": p.Namespace, "serviceaccount": account,
			"pod": map[string]any{"name": p.Name, "uid": p.UID}, "node": map[string]any{"name": nodeName},
		},
	}
	head, err := encoded(map[string]string{"alg": "EdDSA", "typ": "JWT"})
	if err != nil {
		return "", err
	}
	body, err := encoded(claims)
	if err != nil {
		return "", err
	}
	text := head + "." + body
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(s.key, []byte(text))), nil
}

func encoded(value any) (string, error) {
	raw, err := json.Marshal(value)
	return base64.RawURLEncoding.EncodeToString(raw), err
}
