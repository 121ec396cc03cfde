package cluster

import "testing"

func TestPodsPushUnsignedElsewhere(t *testing.T) {
	if got, err := UnsignedTag("r.example/me/hello:v1", false); got != "r.example/me/hello:v1" || err != nil {
		t.Errorf("without a key: %s, %v", got, err)
	}
	if got, err := UnsignedTag("r.example/me/hello:v1", true); got != "r.example/me/hello:kn-lite-unsigned" || err != nil {
		t.Errorf("with a key: %s, %v", got, err)
	}
}
