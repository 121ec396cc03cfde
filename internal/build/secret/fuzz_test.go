package secret

import "testing"

func FuzzInspect(f *testing.F) {
	for _, seed := range []string{
		"", "A=b", "password: x", `{"token":"abcdef"}`, "<a b='c'>d</a>", "-----BEGIN PRIVATE KEY-----", "[x]\na = \"b", "'", "=", ": ", "\"a\" \"", "export =", "\x30\x82\x00",
	} {
		f.Add(".env.x/../a.pem", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		NewNames().Classify(name, len(content)%2 == 0)
		for class := Ordinary; class <= Template; class++ {
			if what := Inspect(class, content); class == Ordinary && what != "" {
				t.Errorf("an ordinary file is a secret: %s", what)
			}
		}
	})
}
