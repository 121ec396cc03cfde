package dockerfile

import "testing"

func TestParsePlatform(t *testing.T) {
	host := hostPlatform().Architecture
	for text, want := range map[string]string{
		"amd64": "linux/amd64", "arm64": "linux/arm64", "linux/arm64/v8": "linux/arm64", "aarch64": "linux/arm64", "x86_64": "linux/amd64",
		"linux/x86-64": "linux/amd64", "arm": "linux/arm/v7", "arm/v6": "linux/arm/v6", "armhf": "linux/arm/v7", "linux/armel": "linux/arm/v6",
		"linux": "linux/" + host, "LINUX/AMD64": "linux/amd64", "linux/386": "linux/386", "i386": "linux/386", "s390x": "linux/s390x",
		"windows/amd64": "windows/amd64",
	} {
		if got, err := parsePlatform(text); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "/", "linux/", "/amd64", "a/b/c/d", "linux//v8"} {
		if got, err := parsePlatform(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}
