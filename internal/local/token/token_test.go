package token

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

func TestToken(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	account, err := s.Create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "robot"}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	maker, err := New(s, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "pod", UID: "pod-uid"},
		Spec:       corev1.PodSpec{ServiceAccountName: "robot", NodeName: "here"},
	}
	for _, c := range []struct {
		name     string
		audience string
		change   func(*corev1.Pod)
		want     claims
	}{
		{
			name: "an audience", audience: "vault", change: func(*corev1.Pod) {},
			want: claims{
				Audience: []string{"vault"}, Issuer: Issuer, Issued: 1_700_000_000, NotBefore: 1_700_000_000, Expires: 1_700_003_600,
				Subject: "system:serviceaccount:shop:robot",
				Bound: bound{
					Namespace: "shop", Node: &named{Name: "here"}, Pod: &named{"pod", "pod-uid"},
					Account: named{"robot", string(account.GetUID())},
				},
			},
		},
		{
			name: "neither audience nor account", change: func(p *corev1.Pod) { p.Spec = corev1.PodSpec{} },
			want: claims{
				Audience: []string{Issuer}, Issuer: Issuer, Issued: 1_700_000_000, NotBefore: 1_700_000_000, Expires: 1_700_003_600,
				Subject: "system:serviceaccount:shop:default",
				Bound:   bound{Namespace: "shop", Pod: &named{"pod", "pod-uid"}, Account: named{Name: "default"}},
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			pod := pod.DeepCopy()
			c.change(pod)
			token, err := maker.Token(t.Context(), pod, c.audience, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			got := verify(t, maker, token)
			if got.ID == "" {
				t.Error("the token has no identity")
			}
			got.ID = ""
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// verify checks the signature as RFC 7518 says.
func verify(t *testing.T, maker *Maker, token string) claims {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts: %s", len(parts), token)
	}
	decode := func(part string) []byte {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	var h header
	if err := json.Unmarshal(decode(parts[0]), &h); err != nil || h.Algorithm != "ES256" || h.KeyID != maker.id {
		t.Errorf("header %+v, %v", h, err)
	}
	signature := decode(parts[2])
	if len(signature) != 64 {
		t.Fatalf("the signature has %d bytes", len(signature))
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(&maker.key.PublicKey, sum[:], r, s) {
		t.Error("the signature is not right")
	}
	var c claims
	if err := json.Unmarshal(decode(parts[1]), &c); err != nil {
		t.Fatal(err)
	}
	return c
}
