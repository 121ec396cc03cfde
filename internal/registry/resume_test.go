package registry_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
)

const mebibyte = 1 << 20

// TestUploadGoesOn: a connection that breaks ten times in a large layer costs at
// most a chunk each time, whether the registry keeps what a broken request has
// brought or not. Only the first request, which is all of the layer, is lost as
// a whole where it does not.
func TestUploadGoesOn(t *testing.T) {
	const chunk = 8 * mebibyte
	for _, tt := range []struct {
		keeps bool
		size  int
		first int64 // the first request breaks after so many bytes
		most  int64 // bytes sent again
	}{
		{true, 256 * mebibyte, 100 * mebibyte, 10 * chunk},
		{false, 96 * mebibyte, 20 * mebibyte, 20*mebibyte + 9*chunk},
	} {
		size := tt.size
		random := rand.New(rand.NewPCG(1, 2))
		faults := []regtest.Fault{{On: regtest.PatchUpload, Do: regtest.ResetAfterReading(tt.first)}}
		for nth := 3; len(faults) < 10; nth += 2 {
			faults = append(faults, regtest.Fault{On: regtest.PatchUpload, Nth: nth, Do: regtest.ResetAfterReading(1 + random.Int64N(chunk-1))})
		}
		t.Run(fmt.Sprintf("keeps parts %v", tt.keeps), func(t *testing.T) {
			seen := &progresstest.Recorder{}
			// One at a time: the faults count requests.
			bubble(t, registry.Options{Jobs: 1, Progress: seen}, func(s *regtest.Server) { s.KeepsParts = tt.keeps }, func(t *testing.T, l *lab) {
				image := testImage(t, 1, size)
				if _, err := l.client.Push(t.Context(), image, tag); err != nil {
					t.Fatal(err)
				}
				if digest, complete := l.server.Tag(repo, "v1"); digest != digestOf(t, image) || !complete {
					t.Errorf("the tag is %s, complete %v", digest, complete)
				}
				again := l.server.Received() - int64(size)
				if again > tt.most {
					t.Errorf("%d bytes were sent again, want at most %d", again, tt.most)
				}
				t.Logf("%d resets: %.1f MiB of %d sent again", len(faults), float64(again)/mebibyte, size/mebibyte)
				if got := movedBytes(seen); got != int64(size) {
					t.Errorf("progress counted %d bytes of %d", got, size)
				}
			}, faults...)
		})
	}
}

// TestUploadStartsOver where a session cannot go on.
func TestUploadStartsOver(t *testing.T) {
	broken := regtest.Fault{On: regtest.PatchUpload, Do: regtest.ResetAfterReading(12 * mebibyte)}
	tests := []struct {
		name   string
		setup  func(*regtest.Server)
		faults []regtest.Fault
		posts  int // sessions begun for the layer
		ok     bool
	}{
		{"the session is gone", nil, []regtest.Fault{broken, {On: regtest.GetUpload, Do: regtest.Status(404)}}, 2, true},
		{"the registry answers with a page", nil, []regtest.Fault{broken, {On: regtest.GetUpload, Do: regtest.HTML(200)}}, 2, true},
		{"the question fails for a while", nil, []regtest.Fault{broken, {On: regtest.GetUpload, Times: 3, Do: regtest.Status(503)}}, 1, true},
		{"the question fails for ever", nil, []regtest.Fault{broken, {On: regtest.GetUpload, Times: -1, Do: regtest.Reset()}}, 1, false},
		{"no chunks", func(s *regtest.Server) { s.WholeOnly = true }, []regtest.Fault{broken}, 2, true},
		{"a chunk too far", nil, []regtest.Fault{broken, {On: regtest.PatchUpload, Nth: 2, Do: regtest.Status(416)}}, 2, true},
		{"each chunk breaks", nil, []regtest.Fault{{On: regtest.PatchUpload, Times: -1, Do: regtest.ResetAfterReading(1000)}}, 1, false},
		{"a chunk's reply is lost", nil, []regtest.Fault{broken, {On: regtest.PatchUpload, Nth: 2, Do: regtest.DropReply()}}, 1, true},
		{"a small layer", nil, []regtest.Fault{{On: regtest.PatchUpload, Do: regtest.Reset()}}, 2, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			size := 20 * mebibyte
			if tt.name == "a small layer" {
				size = 8 * mebibyte
			}
			bubble(t, registry.Options{Jobs: 1}, tt.setup, func(t *testing.T, l *lab) {
				image := testImage(t, 1, size)
				_, err := l.client.Push(t.Context(), image, tag)
				if tt.ok != (err == nil) || err != nil && fault.KindOf(err) != fault.Transient {
					t.Fatalf("got %v (%v), want success %v", err, fault.KindOf(err), tt.ok)
				}
				config := 0
				if err == nil {
					config = 1
					if digest, complete := l.server.Tag(repo, "v1"); digest != digestOf(t, image) || !complete {
						t.Errorf("the tag is %s, complete %v", digest, complete)
					}
				}
				if posts := l.server.Count(regtest.PostUpload) - config; posts != tt.posts {
					t.Errorf("%d sessions, want %d", posts, tt.posts)
				}
				if n := l.server.Count(regtest.PatchUpload); n > 8 {
					t.Errorf("%d requests with content", n)
				}
			}, tt.faults...)
		})
	}
}
