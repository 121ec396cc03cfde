package app

import (
	"cmp"
	"context"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// VerifyImageRequest says what is verified.
type VerifyImageRequest struct {
	Image string
	Key   string // file with the public key; "" is the settings'
}

// VerifiedImage is an image that is signed.
type VerifiedImage struct {
	Image string `json:"image"` // REGISTRY/NAME@sha256:…, by the digest that was verified
	Key   string `json:"key"`   // fingerprint of the public key
}

// VerifyImage requires the image that r names now to be signed with a key: a
// Conflict otherwise.
func (a *App) VerifyImage(ctx context.Context, r VerifyImageRequest) (*VerifiedImage, error) {
	key, err := a.verifyKey(r.Key, "signed with which key?")
	if err != nil {
		return nil, err
	}
	image, err := a.verifySigned(ctx, r.Image, key)
	if err != nil {
		return nil, err
	}
	return &VerifiedImage{Image: image, Key: key.Fingerprint()}, nil
}

// SignedPolicy says what has to be signed before it is deployed.
type SignedPolicy struct {
	Required *bool  // nil is what the settings say; a Key requires signatures too
	Key      string // file with the public key; "" is the settings'
}

// RequiredKey returns the key that images have to be signed with; nil when they need
// not be.
func (a *App) RequiredKey(p SignedPolicy) (*sign.PublicKey, error) {
	cfg, err := a.Settings()
	if err != nil {
		return nil, err
	}
	required := cfg.RequireSigned
	if p.Required != nil {
		required = *p.Required
	}
	if !required && p.Key == "" {
		return nil, nil
	}
	return a.verifyKey(p.Key, "an image has to be signed, and with which key is not said")
}

// verifyKey returns the public key in file, "" is the settings'. missing is the error
// when there is none.
func (a *App) verifyKey(file, missing string) (*sign.PublicKey, error) {
	cfg, err := a.Settings()
	if err != nil {
		return nil, err
	}
	if file = cmp.Or(file, cfg.VerifyKey); file == "" {
		return nil, fault.New(fault.Usage, "app.verify-key", "", "%s", missing).
			WithHint("name its public half in KN_LITE_VERIFY_KEY or verifyKey in the settings")
	}
	return openPublicKey(file)
}

// verifySigned requires image to be signed with key, and returns the reference by
// the digest for which that holds. The registry itself is asked, and not its
// mirrors, as it is for what is deployed.
func (a *App) verifySigned(ctx context.Context, image string, key *sign.PublicKey) (string, error) {
	client, err := a.Registry()
	if err != nil {
		return "", err
	}
	pinned, err := client.Digest(ctx, image)
	if err != nil {
		return "", err
	}
	ref, err := registry.Parse(pinned)
	if err != nil {
		return "", err
	}
	found, err := client.Signatures(ctx, pinned)
	if err != nil {
		return "", err
	}
	if err := key.Verify(sign.Statement{Name: ref.Name()}, ref.Digest, found); err != nil {
		return "", err
	}
	a.report().Step("verified " + pinned + ": signed with " + key.Fingerprint())
	return pinned, nil
}

// CheckSigned requires the image of a deploy to be signed with key, if that is not
// nil. unpushed is an image that was built for a dry run and may have no signature
// yet: it is enough then that signKey, the key that would sign it, is the right one.
func (a *App) CheckSigned(ctx context.Context, image string, key *sign.PublicKey, unpushed bool, signKey string) error {
	if key == nil {
		return nil
	}
	_, err := a.verifySigned(ctx, image, key)
	if err == nil || !unpushed {
		return err
	}
	own, keyErr := a.openSignKey(ctx, signKey)
	if keyErr != nil {
		return keyErr
	}
	if own != nil && own.Public().Fingerprint() == key.Fingerprint() {
		a.report().Note("not signed yet: a deploy signs it with " + key.Fingerprint())
		return nil
	}
	return fault.New(fault.Conflict, "app.signed", image, "a deploy would be refused: %w", sign.ErrUnsigned).
		WithHint("sign what is deployed, with the private half of %s", key.Fingerprint())
}
