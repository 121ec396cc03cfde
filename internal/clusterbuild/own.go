package clusterbuild

import (
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// ownProgram is kn-lite in the pod.
type ownProgram struct {
	*Spec
	report  progress.Reporter
	podLog  *podLog
	told    chan struct{}  // closed when the log has been read to its end
	arrived sync.WaitGroup // until it is clear whether the pod has the context
}

func newOwnProgram(spec *Spec, report progress.Reporter) *ownProgram {
	return &ownProgram{Spec: spec, report: report, podLog: newPodLog(report), told: make(chan struct{})}
}

// Shape implements Program.
//
// kn-lite is root in its container with five capabilities, which is what a sandbox
// of shifted users takes: SETUID and SETGID to map them, CHOWN, FOWNER and
// DAC_OVERRIDE to hand them their files and to take those away again. RUN has
// neither these nor the credentials: it is in namespaces of its own. What is on
// is the gain of privileges, since programs of the image with a set-uid bit
// must work there as anywhere.
//
// Unconfined is with neither seccomp's nor AppArmor's default profile: the former
// refuses to make user namespaces, the latter to mount in them. Pod Security's level
// "privileged" admits it. Otherwise both are left to the node, whose kubelet applies
// no seccomp profile unless told to, which the level "baseline" admits.
func (p *ownProgram) Shape(pod *corev1.PodSpec, unconfined bool) {
	yes := true
	c := &pod.Containers[0]
	c.Args = Command()
	c.Env = []corev1.EnvVar{
		{Name: "HOME", Value: WorkDir},
		{Name: "TMPDIR", Value: WorkDir},
		{Name: "XDG_CACHE_HOME", Value: WorkDir + "/cache"},
	}
	// Not StdinOnce: a connection that broke off may come back.
	c.SecurityContext.ReadOnlyRootFilesystem = &yes
	c.SecurityContext.Capabilities.Add = []corev1.Capability{"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "work", MountPath: WorkDir})
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: "work", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	if unconfined {
		pod.SecurityContext = &corev1.PodSecurityContext{
			SeccompProfile:  &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined},
			AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined},
		}
	}
}

// Line implements Program.
func (p *ownProgram) Line(text string) error { return p.podLog.line(text) }

// Begun implements Program.
func (p *ownProgram) Begun() bool { return p.podLog.listens() }

// LogEnded implements Program.
func (p *ownProgram) LogEnded() { close(p.told) }

// Close implements Program.
func (p *ownProgram) Close() {
	p.arrived.Wait()
	p.podLog.close()
}

// Conclude implements Program.
func (p *ownProgram) Conclude(pod string, end *corev1.ContainerStateTerminated) (*Result, error) {
	v, said := readVerdict(end.Message)
	switch {
	case said && v.Error == nil:
		return &Result{Digest: v.Digest, Platforms: p.podLog.result}, nil
	case said:
		return nil, explain(v.Error, p.Namespace)
	}
	text := fmt.Sprintf("the build ended with exit code %d", end.ExitCode)
	if end.Reason != "" && end.Reason != "Error" {
		text += " (" + end.Reason + ")"
	}
	last := p.podLog.last
	if message := strings.TrimSpace(end.Message); message != "" {
		last = append(last, message)
	}
	if len(last) > 0 {
		text += "; its last words:\n" + strings.Join(last, "\n")
	}
	return nil, fault.New(fault.Failure, "clusterbuild.run", "pod/"+pod, "%s", text).
		WithHint("is %s an image of kn-lite? {Pod.Image} names it", p.Image)
}
