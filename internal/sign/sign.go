// Package sign makes and checks signatures of images in the format of cosign's
// simple signing (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md)
// with keys that are files. A signature is good for one digest under one name;
// whoever stores it is not trusted.
package sign

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// payloadKind says what is signed; the word stands for the format.
const payloadKind = "cosign container image signature"

// inputsField is the annotation of a signature that binds the image to what it
// was built from: cosign verify -a dev.kn-lite.inputs=sha256:… asks for it.
const inputsField = "dev.kn-lite.inputs"

// Statement is what a signature says about an image.
type Statement struct {
	Name   string // what the image is known as: REGISTRY/NAME
	Inputs string // sha256:… over all that the signer built it from; "" makes no claim
}

// payload is what a signature is over.
type payload struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]any `json:"optional"`
}

// Sign signs what says about subject. The same key, image and statement give the
// same signature each time, so that it is stored once.
func (k *PrivateKey) Sign(what Statement, subject attest.Descriptor) (*attest.Artifact, error) {
	var p payload
	p.Critical.Identity.Reference, p.Critical.Image.Digest, p.Critical.Type = what.Name, subject.Digest, payloadKind
	if what.Inputs != "" {
		p.Optional = map[string]any{inputsField: what.Inputs}
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	// Without a source of random numbers the signature is that of RFC 6979.
	signature, err := k.key.Sign(nil, sum[:], hash)
	if err != nil {
		return nil, &fault.Error{Op: "sign.image", Subject: what.Name, Err: err}
	}
	return &attest.Artifact{Type: attest.SignatureType, Subject: subject, Blobs: []attest.Blob{{
		MediaType: attest.PayloadType, Content: text,
		Annotations: map[string]string{attest.AnnotationSignature: base64.StdEncoding.EncodeToString(signature)},
	}}}, nil
}

// The ways in which an image is not signed. All are a fault.Conflict.
var (
	ErrUnsigned = errors.New("it is not signed")
	ErrNoMatch  = errors.New("no signature fits the key: they are by others, or have been changed")
	ErrOther    = errors.New("the signature is for another image")
	ErrName     = errors.New("the signature is for another name")
	ErrInputs   = errors.New("the signature does not say that the image was built from this")
)

// Verify wants one of candidates to be a signature by k that says want about
// digest. They may come from anywhere.
func (k *PublicKey) Verify(want Statement, digest string, candidates []attest.Blob) error {
	refuse := func(reason error, format string, args ...any) error {
		e := fault.New(fault.Conflict, "sign.verify", want.Name+"@"+digest, "%w", reason)
		if format == "" {
			return e
		}
		return e.WithHint(format, args...)
	}
	if len(candidates) == 0 {
		return refuse(ErrUnsigned, "sign it: kn-lite build {Push} {SignKey} KEY, or cosign sign --key KEY")
	}
	// What is closest to a good signature tells the most.
	worst := refuse(ErrNoMatch, "the key is %s; it has to be the public half of the one that signed", k.Fingerprint())
	for _, c := range candidates {
		if !k.fits(c) {
			continue
		}
		var p payload
		switch err := json.Unmarshal(c.Content, &p); {
		case err != nil || p.Critical.Type != payloadKind:
			worst = refuse(ErrOther, "what the key has signed is no image")
		case p.Critical.Image.Digest != digest:
			worst = refuse(ErrOther, "it is for %s; somebody has put it beside this one", p.Critical.Image.Digest)
		case p.Critical.Identity.Reference != want.Name:
			worst = refuse(ErrName, "it is for %s; an image that was copied has to be signed again under its new name", p.Critical.Identity.Reference)
		case want.Inputs != "" && p.Optional[inputsField] != want.Inputs:
			worst = refuse(ErrInputs, "build it here")
		default:
			return nil
		}
	}
	return worst
}

// fits reports whether a candidate's signature is by k and over its content.
func (k *PublicKey) fits(c attest.Blob) bool {
	signature, err := base64.StdEncoding.DecodeString(c.Annotations[attest.AnnotationSignature])
	if err != nil || len(signature) == 0 {
		return false
	}
	sum := sha256.Sum256(c.Content)
	return ecdsa.VerifyASN1(k.key, sum[:], signature)
}
