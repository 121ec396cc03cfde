package progress_test

import (
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/progress"
)

func TestBytesAndDuration(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1500: "1.5 kB", 12_345_678: "12.3 MB", 3e9: "3.0 GB"} {
		if got := progress.Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{80 * time.Millisecond: "80ms", 1234 * time.Millisecond: "1.2s", 125 * time.Second: "2m05s"} {
		if got := progress.Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}
