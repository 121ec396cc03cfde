package kubelet

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/regular"
)

const (
	// terminationVolume cannot be a volume of a pod: their names have no dots.
	terminationVolume = "termination.log"
	// The sizes that Kubernetes promises.
	longestMessage  = 4096
	longestFromLog  = 2048
	mostLinesOfLogs = 80
)

// terminationLog makes the file in which the container can say why it ends.
func (c *container) terminationLog() (Mount, error) {
	file := c.terminationFile()
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Mount{}, err
	}
	if err := writeFile(file, nil, 0o666); err != nil {
		return Mount{}, err
	}
	target := c.spec.TerminationMessagePath
	if target == "" {
		target = corev1.TerminationMessagePathDefault
	}
	return Mount{Target: target, Source: filepath.Dir(file), SubPath: filepath.Base(file)}, nil
}

func (c *container) terminationFile() string {
	return filepath.Join(c.w.volumes[terminationVolume].dir, c.spec.Name)
}

// terminationMessage is what the container has said, or the end of its log where
// it asks for that, as text that every client can read.
func (c *container) terminationMessage(code int) string {
	return strings.ToValidUTF8(c.lastWords(code), "\uFFFD")
}

func (c *container) lastWords(code int) string {
	message := readTermination(c.terminationFile())
	if message != "" || code == 0 || c.spec.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError {
		return message
	}
	c.w.mu.Lock()
	log := c.log
	c.w.mu.Unlock()
	if log == nil {
		return ""
	}
	return log.Last(mostLinesOfLogs, longestFromLog)
}

func readTermination(path string) string {
	// The container has the file itself and not its folder: it stays a file.
	file, err := regular.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, longestMessage))
	if err != nil {
		return ""
	}
	return string(text)
}

// writeFile makes a file with exactly this mode.
func writeFile(path string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}
