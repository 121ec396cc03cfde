package dockerfile

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// Each rule was tried on each folder above a path, whose length grows as well.
func TestDeepFolders(t *testing.T) {
	deep := strings.Repeat("d/", 400)
	p := newProject(t, "FROM busybox AS a\nCOPY . /x\nRUN mkdir -p /o/"+deep+" && cp /x/"+deep+"f /o/"+deep+"\nFROM scratch\nCOPY --from=a /o /p\n", map[string]string{
		deep + "f": "x", ".dockerignore": "**/*.log\nnode_modules\n**/tmp\n*.md\n!README.md\n",
	})
	before := processorTime(t)
	image := p.must(Options{})
	if took := processorTime(t) - before; took > 8*time.Second {
		t.Errorf("400 folders in each other took %v of a processor", took)
	}
	files := added(t, image)
	if want := "0 0644 0:0 p/" + deep + "f = x"; len(files) != 402 || files[len(files)-1] != want {
		t.Errorf("%d files", len(files))
	}
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var total int64
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if err := syscall.Getrusage(who, &usage); err != nil {
			t.Fatal(err)
		}
		total += usage.Utime.Nano() + usage.Stime.Nano()
	}
	return time.Duration(total)
}
