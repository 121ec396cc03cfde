// Package token makes service account tokens for pods, of the form that a cluster's
// have: JSON web tokens (RFC 7519), signed with ES256 (RFC 7518).
package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// Issuer is who the tokens say has made them: what kube-apiserver calls itself by
// default. It is the audience of a projection that names none.
const Issuer = "https://kubernetes.default.svc.cluster.local"

// Maker makes tokens. Its key lasts as long as itself, like the pods that have the
// tokens: those of an earlier run are worth nothing.
type Maker struct {
	store *store.Store
	now   func() time.Time
	key   *ecdsa.PrivateKey
	id    string // of the key
}

// New makes a Maker with a key of its own.
func New(s *store.Store, now func() time.Time) (*Maker, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(public)
	return &Maker{store: s, now: now, key: key, id: base64.RawURLEncoding.EncodeToString(sum[:])}, nil
}

// claims are what a token says.
type claims struct {
	Audience  []string `json:"aud"`
	Expires   int64    `json:"exp"`
	Issued    int64    `json:"iat"`
	Issuer    string   `json:"iss"`
	ID        string   `json:"jti"`
	Bound     bound    `json:"kubernetes.io"`
	NotBefore int64    `json:"nbf"`
	Subject   string   `json:"sub"`
}

// bound is what a token dies with on a cluster.
type bound struct {
	Namespace string `json:"namespace"`
	Node      *named `json:"node,omitempty"`
	Pod       *named `json:"pod,omitempty"`
	Secret    *named `json:"secret,omitempty"`
	Account   named  `json:"serviceaccount"`
}

type named struct {
	Name string `json:"name"`
	UID  string `json:"uid,omitempty"`
}

type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

// Token returns a token of the pod's service account. It implements kubelet.Tokens.
func (m *Maker) Token(_ context.Context, pod *corev1.Pod, audience string, lifetime time.Duration) (string, error) {
	account := named{Name: pod.Spec.ServiceAccountName}
	if account.Name == "" {
		account.Name = "default"
	}
	if found, ok := store.Get[*corev1.ServiceAccount](m.store, pod.Namespace, account.Name); ok {
		account.UID = string(found.UID)
	}
	if audience == "" {
		audience = Issuer
	}
	c, _ := m.claims(pod.Namespace, account, []string{audience}, lifetime)
	c.Bound.Pod = &named{pod.Name, string(pod.UID)}
	if pod.Spec.NodeName != "" {
		c.Bound.Node = &named{Name: pod.Spec.NodeName}
	}
	return m.sign(c)
}

// AccountToken returns a token of a service account for somebody who asks the API for
// one. It implements api.Tokens.
func (m *Maker) AccountToken(_ context.Context, account *corev1.ServiceAccount, audiences []string, boundTo *authenticationv1.BoundObjectReference, lifetime time.Duration) (token string, expires time.Time, err error) {
	if len(audiences) == 0 {
		audiences = []string{Issuer}
	}
	c, expires := m.claims(account.Namespace, named{account.Name, string(account.UID)}, audiences, lifetime)
	if boundTo != nil {
		object := &named{boundTo.Name, string(boundTo.UID)}
		if boundTo.Kind == "Pod" {
			c.Bound.Pod = object
		} else {
			c.Bound.Secret = object
		}
	}
	token, err = m.sign(c)
	return token, expires, err
}

func (m *Maker) claims(namespace string, account named, audiences []string, lifetime time.Duration) (c claims, expires time.Time) {
	now := m.now()
	expires = now.Add(lifetime)
	return claims{
		Audience: audiences, Issuer: Issuer, ID: rand.Text(),
		Issued: now.Unix(), NotBefore: now.Unix(), Expires: expires.Unix(),
		Subject: "system:serviceaccount:" + namespace + ":" + account.Name,
		Bound:   bound{Namespace: namespace, Account: account},
	}, expires
}

func (m *Maker) sign(c claims) (string, error) {
	first, err := part(header{Algorithm: "ES256", KeyID: m.id})
	if err != nil {
		return "", err
	}
	second, err := part(c)
	if err != nil {
		return "", err
	}
	signed := first + "." + second
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, m.key, sum[:])
	if err != nil {
		return "", err
	}
	// The two numbers, each as long as the curve's order (RFC 7518, 3.4).
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature[:]), nil
}

func part(value any) (string, error) {
	raw, err := json.Marshal(value)
	return base64.RawURLEncoding.EncodeToString(raw), err
}
