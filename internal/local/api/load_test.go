package api_test

import (
	"fmt"
	"testing"
	"time"
)

// A thousand services are made and listed without anybody waiting.
func TestThousandServices(t *testing.T) {
	p := start(t)
	begin := time.Now()
	for i := range 1000 {
		p.must(201, "POST", services, ksvc(fmt.Sprintf("fn-%d", i)))
	}
	made := time.Since(begin)
	const asTable = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
	var listed, shown time.Duration
	for range 3 {
		begin = time.Now()
		list := p.must(200, "GET", services, "")
		listed = time.Since(begin)
		begin = time.Now()
		p.must(200, "GET", services, "", asTable)
		shown = time.Since(begin)
		if got := len(list.body); got < 500_000 {
			t.Fatalf("a list of %d bytes", got)
		}
	}
	t.Logf("made in %v, listed in %v, as a table in %v", made, listed, shown)
	// Generous: other tests run beside this one.
	if made > 60*time.Second || listed > 5*time.Second || shown > 5*time.Second {
		t.Errorf("made in %v, listed in %v, as a table in %v", made, listed, shown)
	}
}
