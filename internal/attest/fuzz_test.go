package attest

import "testing"

// Artifacts come from registries.
func FuzzReadArtifact(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"layers":[{"digest":"sha256:x","size":-1}]}`, `{"subject":{"digest":"x"},"config":{"mediaType":"y"}}`, `{"layers":[{"digest":"` + Digest([]byte("a")) + `"}]}`, `{"layers":null,"annotations":{"a":"b"}}`,
	} {
		f.Add([]byte(seed), []byte("a"))
	}
	f.Fuzz(func(t *testing.T, raw, blob []byte) {
		a, err := ReadArtifact(raw, func(Descriptor) ([]byte, error) { return blob, nil })
		if err != nil {
			return
		}
		for _, b := range a.Blobs {
			if string(b.Content) != string(blob) {
				t.Errorf("content %q", b.Content)
			}
		}
		a.Content("x")
		if _, err := a.RawManifest(); err != nil {
			t.Error(err)
		}
	})
}
