package fakecluster_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/clusterbuild/fakecluster"
	"github.com/kn-lite/kn-lite/internal/clustertest"
)

// TestConforms: what the tests of builds take for a cluster does what one does.
func TestConforms(t *testing.T) {
	program := func(_ context.Context, in io.Reader, out io.Writer) corev1.ContainerStateTerminated {
		line, _ := bufio.NewReader(in).ReadString('\n')
		fmt.Fprintf(out, "got %s", line)
		return corev1.ContainerStateTerminated{}
	}
	clustertest.Run(t, []clustertest.Part{clustertest.Builds}, func(*testing.T) *clustertest.Target {
		return &clustertest.Target{Builds: fakecluster.New(program), Job: func(*corev1.PodSpec) {}}
	})
}
