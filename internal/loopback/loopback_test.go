package loopback

import "testing"

func TestIsHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST:7443": true, "127.0.0.1:7443": true, "127.9.9.9": true, "[::1]:7443": true, "::1": true,
		"": false, "evil.example": false, "localhost.evil.example:7443": false, "127.0.0.1.evil.example": false, "192.0.2.1:7443": false, "0.0.0.0": false,
	} {
		if got := IsHost(host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
}
