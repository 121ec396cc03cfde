package kaniko

import (
	"compress/gzip"
	"context"
	"io"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/clusterbuild"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// program is kaniko in the pod of a build.
type program struct {
	image string
	args  []string
	files []layer.File // the context, with contextDir in it
	log   *buildLog

	report progress.Reporter
}

var _ clusterbuild.Program = (*program)(nil)

// Shape implements clusterbuild.Program. kaniko is root in its container and RUN
// with it, on the container's own root; it has the capabilities that packages of
// distributions take for granted, which Pod Security's level "baseline" admits.
func (p *program) Shape(pod *corev1.PodSpec, _ bool) {
	c := &pod.Containers[0]
	c.Args = escape(p.args)
	// After the client has gone the context has an end, and is an error if it is cut.
	c.StdinOnce = true
	c.Env = []corev1.EnvVar{{Name: "HOME", Value: "/root"}, {Name: "USER", Value: "root"}, {Name: "DOCKER_CONFIG", Value: authDir}}
	c.SecurityContext.Capabilities.Add = []corev1.Capability{
		"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETUID", "SYS_CHROOT",
	}
	for i := range c.VolumeMounts {
		c.VolumeMounts[i].MountPath = authDir // the credentials are the only volume
	}
}

// Line implements clusterbuild.Program.
func (p *program) Line(text string) error {
	p.log.line(text)
	return nil
}

// Begun implements clusterbuild.Program.
func (p *program) Begun() bool { return p.log.hasBegun() }

// LogEnded implements clusterbuild.Program.
func (p *program) LogEnded() {}

// Close implements clusterbuild.Program.
func (p *program) Close() { p.log.close(false) }

// settle is how long the connection stays after all has been sent, for an executor
// whose log does not show that it has the context.
const settle = 30 * time.Second

// Feed implements clusterbuild.Program: kaniko reads its context as it comes.
func (p *program) Feed(ctx context.Context, attach clusterbuild.Attach) error {
	total := clusterbuild.ContextSize(p.files)
	task := p.report.Start("sending the context", total)
	sent := false
	err := attach(ctx, func(ctx context.Context, w io.Writer) error {
		err := clusterbuild.WriteContext(ctx, w, p.files, task.Add)
		if err == nil {
			err = writeEmptyMember(w)
		}
		if err != nil {
			return err
		}
		sent = true
		task.Done("sent the context")
		// What is on its way would be lost with the connection.
		timer := time.NewTimer(settle)
		defer timer.Stop()
		select {
		case <-p.log.unpacked:
		case <-timer.C:
		case <-ctx.Done():
		}
		return nil
	})
	if !sent {
		task.Fail()
		return err
	}
	if fault.KindOf(err) == fault.Transient {
		// If anything was lost on its way kaniko misses it, and says so.
		return nil
	}
	return err
}

// writeEmptyMember adds to a gzip stream a member with nothing in it. A reader looks
// for another member before it hands out the last bytes of one, and would wait for it
// on a connection that stays open.
func writeEmptyMember(w io.Writer) error { return gzip.NewWriter(w).Close() }

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Conclude implements clusterbuild.Program. kaniko writes the digest before it
// pushes: only with its exit code is it an image.
func (p *program) Conclude(pod string, end *corev1.ContainerStateTerminated) (*clusterbuild.Result, error) {
	if end.ExitCode != 0 || end.Reason != "" && end.Reason != "Completed" {
		return nil, p.log.fault("pod/"+pod, p.image, int(end.ExitCode))
	}
	digest := strings.TrimSpace(end.Message)
	if !digestPattern.MatchString(digest) {
		return nil, fault.New(fault.Failure, "kaniko.build", "pod/"+pod, "the builder ended and named no digest: is %s an image of kaniko's executor?", p.image)
	}
	p.log.close(true)
	return &clusterbuild.Result{Digest: digest}, nil
}
