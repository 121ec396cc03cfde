package cluster

import (
	"errors"
	"io"
	"os"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// client-go logs what its goroutines come across, errors too; the terminal is not its own.
func TestClientGoPrintsNothing(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = write
	defer func() { os.Stderr = before }()
	tuned(target{config: &rest.Config{}}, Options{})
	klog.Background().Error(errors.New("context canceled"), "Unexpected error when reading response body")
	klog.Errorf("an error of %s", "client-go")
	klog.Flush()
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(read); err != nil || len(said) > 0 {
		t.Errorf("on stderr: %q, %v", said, err)
	}
}
