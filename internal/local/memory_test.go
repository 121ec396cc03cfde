package local

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// Memory goes back once after each time of changes, however many they were.
func TestGiveBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open("")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var freed atomic.Int64
		ended := make(chan error, 1)
		go func() { ended <- giveBack(ctx, s, func() { freed.Add(1) }) }()
		for round := range int64(3) {
			for n := range 5 {
				object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", GenerateName: "s-", Name: string(rune('a'+round)) + string(rune('a'+n))}}
				if _, err := s.Create(object); err != nil {
					t.Fatal(err)
				}
				time.Sleep(quietTime / 2)
				if got := freed.Load(); got != round {
					t.Errorf("round %d: freed %d times amid changes", round, got)
				}
			}
			time.Sleep(time.Hour)
			if got := freed.Load(); got != round+1 {
				t.Errorf("round %d: freed %d times after an hour of rest", round, got)
			}
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
