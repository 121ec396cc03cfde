package registry_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/internal/registry/server"
)

// documents are an SBOM and provenance about an image.
func documents(t *testing.T, image v1.Image) func(context.Context) ([]attest.Artifact, error) {
	t.Helper()
	raw, err := image.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	subject := attest.Descriptor{MediaType: attest.ManifestType, Digest: attest.Digest(raw), Size: int64(len(raw))}
	return func(context.Context) ([]attest.Artifact, error) {
		return []attest.Artifact{
			attest.Document(attest.SPDXType, subject, []byte(`{"spdxVersion":"SPDX-2.3"}`)),
			attest.Document(attest.InTotoType, subject, []byte(`{"_type":"statement"}`)),
		}, nil
	}
}

// signer stands in for a key: registries do not look into signatures.
func signer(who string) registry.Signer {
	return func(name string, subject attest.Descriptor) (*attest.Artifact, error) {
		return &attest.Artifact{Type: attest.SignatureType, Subject: subject, Blobs: []attest.Blob{{
			MediaType: attest.PayloadType, Content: []byte(who + " signs " + name + " " + subject.Digest),
			Annotations: map[string]string{attest.AnnotationSignature: who},
		}}}, nil
	}
}

func forms(t *testing.T, l *lab, ref string) []string {
	t.Helper()
	found, err := l.client.Referrers(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range found {
		out = append(out, d.ArtifactType)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// What is attached is found again, in registries of both kinds.
func TestAttach(t *testing.T) {
	for _, old := range []bool{false, true} {
		bubble(t, registry.Options{}, func(s *regtest.Server) { s.NoReferrers = old }, func(t *testing.T, l *lab) {
			image := testImage(t, 1, 1000)
			with := registry.Attached{Documents: documents(t, image), Sign: signer("ada")}
			done, err := l.client.PushWith(t.Context(), image, tag, with)
			if err != nil {
				t.Fatal(err)
			}
			ref := done.Ref
			if got, want := forms(t, l, ref), []string{attest.SPDXType, attest.SignatureType, attest.InTotoType}; !slices.Equal(got, want) {
				t.Errorf("old %v: %v are attached to it, want %v", old, got, want)
			}
			found, err := l.client.Referrers(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range found {
				a, err := l.client.Fetch(t.Context(), host+"/"+repo+"@"+d.Digest)
				if err != nil {
					t.Fatal(err)
				}
				if a.Subject.Digest != digestOf(t, image) {
					t.Errorf("%s is about %s", d.ArtifactType, a.Subject.Digest)
				}
			}
			signatures, err := l.client.Signatures(t.Context(), ref)
			if err != nil || len(signatures) != 1 || !strings.HasPrefix(string(signatures[0].Content), "ada signs "+host+"/"+repo+" sha256:") {
				t.Errorf("old %v: signatures %q, %v", old, signatures, err)
			}

			// All of it is written before the tag.
			log := l.server.Log()
			if last := log[slices.IndexFunc(log, func(s string) bool { return strings.HasPrefix(s, "PUT /v2/"+repo+"/manifests/v1") })+1:]; slices.ContainsFunc(last, func(s string) bool { return strings.HasPrefix(s, "PUT") }) {
				t.Errorf("written after the tag: %q", last)
			}

			// The second time nothing is written, and little is asked.
			before := len(log)
			if _, err := l.client.PushWith(t.Context(), image, tag, with); err != nil {
				t.Fatal(err)
			}
			for _, request := range l.server.Log()[before:] {
				if !strings.HasPrefix(request, "HEAD ") && !strings.HasPrefix(request, "GET ") {
					t.Errorf("old %v: the second push writes: %s", old, request)
				}
			}

			// Another one signs it too, and the first signature stays.
			if _, err := l.client.PushWith(t.Context(), image, tag, registry.Attached{Sign: signer("grace")}); err != nil {
				t.Fatal(err)
			}
			if signatures, err = l.client.Signatures(t.Context(), ref); err != nil || len(signatures) != 2 {
				t.Errorf("old %v: %d signatures, %v", old, len(signatures), err)
			}
		})
	}
}

// What an earlier push left out comes with a later one, though the tag is right.
func TestAttachLater(t *testing.T) {
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		image := testImage(t, 1, 1000)
		ref, err := l.client.Push(t.Context(), image, tag)
		if err != nil {
			t.Fatal(err)
		}
		if got := forms(t, l, ref); len(got) > 0 {
			t.Errorf("%v are attached to a plain image", got)
		}
		if _, err := l.client.PushWith(t.Context(), image, tag, registry.Attached{Documents: documents(t, image)}); err != nil {
			t.Fatal(err)
		}
		if got := forms(t, l, ref); len(got) != 2 {
			t.Errorf("%v are attached to it", got)
		}
		digest, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := l.client.Sign(t.Context(), digest, tag, signer("ada")); err != nil {
				t.Fatal(err)
			}
		}
		if found, err := l.client.Signatures(t.Context(), ref); err != nil || len(found) != 1 {
			t.Errorf("%d signatures, %v", len(found), err)
		}
		before := l.server.Count(regtest.PutTag)
		if err := l.client.Sign(t.Context(), digest, tag, signer("ada")); err != nil || l.server.Count(regtest.PutTag) != before {
			t.Errorf("the same signature is written again: %v", err)
		}
		missing := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("9", 64)}
		if err := l.client.Sign(t.Context(), missing, tag, signer("ada")); fault.KindOf(err) != fault.NotFound {
			t.Errorf("signing what is not there: %v", err)
		}
	})
}

// When something that belongs to the image cannot be written, the tag stays
// where it was.
func TestAttachFails(t *testing.T) {
	old := func(s *regtest.Server) { s.NoReferrers = true }
	tests := map[string]struct {
		fault regtest.Fault
		setup func(*regtest.Server)
		sign  bool
		kind  fault.Kind
		hint  string
	}{
		// The image's manifest is the first.
		"refused":       {regtest.Fault{On: regtest.PutManifest, Nth: 2, Times: -1, Do: regtest.Status(400)}, nil, false, fault.Failure, "{NoSBOM}"},
		"in trouble":    {regtest.Fault{On: regtest.PutManifest, Nth: 2, Times: -1, Do: regtest.Status(503)}, nil, false, fault.Transient, "try again"},
		"not permitted": {regtest.Fault{On: regtest.PutManifest, Nth: 2, Times: -1, Do: regtest.Status(403)}, nil, false, fault.Auth, "permission"},
		"signature":     {regtest.Fault{On: regtest.PutTag, Times: -1, Do: regtest.Status(400)}, nil, true, fault.Failure, "{SignKey}"},
		"list":          {regtest.Fault{On: regtest.PutTag, Times: -1, Do: regtest.Status(400)}, old, false, fault.Failure, "{NoSBOM}"},
		"blob":          {regtest.Fault{On: regtest.PutUpload, Nth: 3, Times: -1, Do: regtest.Status(403)}, nil, false, fault.Auth, "permission"},
	}
	for label, test := range tests {
		bubble(t, registry.Options{}, test.setup, func(t *testing.T, l *lab) {
			image := testImage(t, 1, 1000)
			with := registry.Attached{Documents: documents(t, image)}
			if test.sign {
				with.Sign = signer("ada")
			}
			_, err := l.client.PushWith(t.Context(), image, tag, with)
			if fault.KindOf(err) != test.kind || !strings.Contains(fault.HintOf(err), test.hint) {
				t.Errorf("%s: %v (%v), hint %q", label, err, fault.KindOf(err), fault.HintOf(err))
			}
			if digest, _ := l.server.Tag(repo, "v1"); digest != "" {
				t.Errorf("%s: the tag has moved to %s", label, digest)
			}
		}, test.fault)
	}
}

func TestDocumentsThatCannotBeMade(t *testing.T) {
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		why := errors.New("why")
		_, err := l.client.PushWith(t.Context(), testImage(t, 1, 1000), tag, registry.Attached{
			Documents: func(context.Context) ([]attest.Artifact, error) { return nil, why },
		})
		if !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
		if digest, _ := l.server.Tag(repo, "v1"); digest != "" {
			t.Errorf("the tag has moved to %s", digest)
		}
	})
}

// Faults that pass are not the user's business, here neither.
func TestAttachRetries(t *testing.T) {
	for _, test := range []regtest.Fault{
		{On: regtest.PutManifest, Nth: 2, Do: regtest.Status(503)},
		{On: regtest.PutManifest, Nth: 3, Do: regtest.DropReply()},
		{On: regtest.PutTag, Do: regtest.Status(429)},
		{On: regtest.GetReferrers, Do: regtest.Status(503)},
		{On: regtest.GetReferrers, Do: regtest.Reset()},
	} {
		bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
			image := testImage(t, 1, 1000)
			done, err := l.client.PushWith(t.Context(), image, tag, registry.Attached{Documents: documents(t, image), Sign: signer("ada")})
			if err != nil {
				t.Fatalf("%s: %v", test, err)
			}
			ref := done.Ref
			if got := forms(t, l, ref); len(got) != 3 {
				t.Errorf("%s: %v are attached to it", test, got)
			}
		}, test)
	}
}

// The referrers of an image are what anybody may write there.
func TestReferrersThatLie(t *testing.T) {
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		image := testImage(t, 1, 1000)
		if _, err := l.client.PushWith(t.Context(), image, tag, registry.Attached{Documents: documents(t, image)}); err != nil {
			t.Fatal(err)
		}
		ref := host + "/" + repo + "@" + digestOf(t, image)
		if got := forms(t, l, ref); len(got) > 0 {
			t.Errorf("a web page is taken for a list: %v", got)
		}
		if _, err := l.client.Referrers(t.Context(), tag); fault.KindOf(err) != fault.Usage {
			t.Errorf("the referrers of a tag, which may move: %v", err)
		}
	}, regtest.Fault{On: regtest.GetReferrers, Do: regtest.HTML(200)})
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		image := testImage(t, 1, 1000)
		done, err := l.client.PushWith(t.Context(), image, tag, registry.Attached{Sign: signer("ada")})
		if err != nil {
			t.Fatal(err)
		}
		ref := done.Ref
		if _, err := l.client.Signatures(t.Context(), ref); err == nil {
			t.Error("a signature that was changed on its way is taken")
		}
	}, regtest.Fault{On: regtest.GetBlob, Times: -1, Do: regtest.FlipReply()})
}

// Whoever may push decides what is read: sizes and digests are looked at first.
func TestHostileArtifacts(t *testing.T) {
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		image := testImage(t, 1, 1000)
		ref, err := l.client.Push(t.Context(), image, tag)
		if err != nil {
			t.Fatal(err)
		}
		subject := `"subject":{"mediaType":"` + attest.ManifestType + `","digest":"` + digestOf(t, image) + `","size":1}`
		put := func(at, layer string) {
			t.Helper()
			raw := `{"schemaVersion":2,"mediaType":"` + attest.ManifestType + `","artifactType":"` + attest.SignatureType + `","config":{},"layers":[` + layer + `],` + subject + `}`
			if err := l.server.Seed(repo, at, rawArtifact(raw)); err != nil {
				t.Fatal(err)
			}
		}
		at := strings.Replace(digestOf(t, image), ":", "-", 1) + ".sig"
		for label, layer := range map[string]string{
			"too large": `{"mediaType":"` + attest.PayloadType + `","digest":"sha256:` + strings.Repeat("1", 64) + `","size":9999999999}`,
			"no digest": `{"mediaType":"` + attest.PayloadType + `","digest":"../../../etc/passwd","size":3}`,
			"negative":  `{"mediaType":"` + attest.PayloadType + `","digest":"sha256:` + strings.Repeat("1", 64) + `","size":-1}`,
		} {
			put(at, layer)
			before := l.server.Count(regtest.GetBlob)
			if found, err := l.client.Signatures(t.Context(), ref); err == nil {
				t.Errorf("%s: %v", label, found)
			}
			if l.server.Count(regtest.GetBlob) != before {
				t.Errorf("%s: it was asked for", label)
			}
		}
	})
	bubble(t, registry.Options{}, func(s *regtest.Server) { s.NoReferrers = true }, func(t *testing.T, l *lab) {
		image := testImage(t, 1, 1000)
		ref, err := l.client.Push(t.Context(), image, tag)
		if err != nil {
			t.Fatal(err)
		}
		list := strings.Replace(digestOf(t, image), ":", "-", 1)
		// A list with something in it that must not get onto a terminal.
		index := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"x","digest":"\u001b[2J","size":1}]}`
		if err := l.server.Seed(repo, list, rawArtifact(index)); err == nil {
			if found, err := l.client.Referrers(t.Context(), ref); err != nil || len(found) > 0 {
				t.Errorf("listed %v, %v", found, err)
			}
		}
		// An image under the name of the list is nobody's to replace.
		if err := l.server.Seed(repo, list, image); err != nil {
			t.Fatal(err)
		}
		_, err = l.client.PushWith(t.Context(), image, tag, registry.Attached{Documents: documents(t, image)})
		if fault.KindOf(err) != fault.Conflict {
			t.Errorf("the list's tag holds an image: %v", err)
		}
		if now, _ := l.server.Tag(repo, list); now != digestOf(t, image) {
			t.Errorf("it was replaced by %s", now)
		}
	})
}

// rawArtifact is a manifest as it is.
type rawArtifact string

func (r rawArtifact) RawManifest() ([]byte, error) { return []byte(r), nil }
func (r rawArtifact) Digest() (v1.Hash, error)     { return v1.NewHash(attest.Digest([]byte(r))) }
func (r rawArtifact) MediaType() (types.MediaType, error) {
	if strings.Contains(string(r), "image.index") {
		return types.OCIImageIndex, nil
	}
	return types.OCIManifestSchema1, nil
}

// What registry serve serves lists referrers and says so, so that no client keeps
// a list of its own.
func TestServeListsReferrers(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener, server.Options{}) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	client, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	image := testImage(t, 1, 1000)
	done, err := client.PushWith(ctx, image, listener.Addr().String()+"/x/y:v1", registry.Attached{Documents: documents(t, image)})
	if err != nil {
		t.Fatal(err)
	}
	ref := done.Ref
	if found, err := client.Referrers(ctx, ref); err != nil || len(found) != 2 {
		t.Errorf("%v, %v", found, err)
	}
	list, _, _ := strings.Cut(strings.Replace(ref, "@sha256:", ":sha256-", 1), "@")
	if _, err := client.Head(ctx, list); fault.KindOf(err) != fault.NotFound {
		t.Errorf("there is a second list: %v", err)
	}
}
