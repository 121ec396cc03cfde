package clusterbuild

import (
	"crypto/rand"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Places in the pod; the command that runs there is told by them.
const (
	// WorkDir is an empty folder of the pod.
	WorkDir = "/work"
	// AuthFile is the docker config.json with the credentials, if there are any.
	AuthFile = "/var/run/kn-lite/config.json"
	// VerdictFile is where the kubelet reads the termination message.
	VerdictFile = "/dev/termination-log"

	// Container is the pod's one container.
	Container = "build"

	authVolume = "auth"
	// margin is how much longer than its client a pod may live.
	margin   = 30 * time.Second
	buildKey = "kn-lite.dev/build"
)

// Command is what the pod runs, after the image's entry point.
func Command() []string { return []string{"internal", "cluster-build", "-o", "json"} }

// objectName is unique, and shows whose it is.
func objectName(project string) string {
	name := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(project)), "-")
	if len(name) > 30 {
		name = strings.TrimRight(name[:30], "-")
	}
	if name == "" {
		name = "app"
	}
	return "kn-lite-build-" + name + "-" + strings.ToLower(rand.Text()[:8])
}

func labels(name string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name": "kn-lite-build", "app.kubernetes.io/managed-by": "kn-lite", buildKey: name,
	}
}

// pod returns the template of the job's one pod, as the program wants it; see
// Program.Shape for unconfined.
func (s *Spec) pod(name string, unconfined bool) (*corev1.PodTemplateSpec, error) {
	resources, err := s.resources()
	if err != nil {
		return nil, err
	}
	root, no := int64(0), false
	// This process gives up first, and says why.
	grace, deadline := int64(2), int64((s.Timeout+margin)/time.Second)
	spec := corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		AutomountServiceAccountToken:  &no,
		EnableServiceLinks:            &no,
		ActiveDeadlineSeconds:         &deadline,
		TerminationGracePeriodSeconds: &grace,
		NodeSelector:                  map[string]string{corev1.LabelOSStable: "linux"},
		Containers: []corev1.Container{{
			Name: Container, Image: s.Image,
			Stdin:                    true,
			Resources:                resources,
			TerminationMessagePath:   VerdictFile,
			TerminationMessagePolicy: corev1.TerminationMessageReadFile,
			SecurityContext: &corev1.SecurityContext{
				RunAsUser: &root, RunAsGroup: &root,
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}
	if s.Architecture != "" {
		spec.NodeSelector[corev1.LabelArchStable] = s.Architecture
	}
	if s.DockerConfig != nil {
		spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: name}}
		spec.Volumes = append(spec.Volumes, s.authVolume(name))
		c := &spec.Containers[0]
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: authVolume, MountPath: path.Dir(AuthFile), ReadOnly: true})
	}
	s.Program.Shape(&spec, unconfined)
	return &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels: labels(name),
			Annotations: map[string]string{
				// A proxy beside the build would outlive it, and has no use.
				"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled",
				"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
			},
		},
		Spec: spec,
	}, nil
}

// authVolume is the secret as files: config.json, and those of AuthFiles.
func (s *Spec) authVolume(secret string) corev1.Volume {
	mode := int32(0o400)
	items := []corev1.KeyToPath{{Key: corev1.DockerConfigJsonKey, Path: path.Base(AuthFile)}}
	for _, name := range slices.Sorted(maps.Keys(s.AuthFiles)) {
		items = append(items, corev1.KeyToPath{Key: name, Path: name})
	}
	return corev1.Volume{Name: authVolume, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: secret, DefaultMode: &mode, Items: items,
	}}}
}

func (s *Spec) resources() (corev1.ResourceRequirements, error) {
	out := corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("512Mi"),
	}}
	for name, text := range s.Resources {
		switch corev1.ResourceName(name) {
		case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		default:
			return out, fault.New(fault.Usage, "clusterbuild.resources", name+"="+text, "unknown resource").WithHint("use cpu, memory and ephemeral-storage")
		}
		quantity, err := resource.ParseQuantity(text)
		if err != nil || quantity.Sign() <= 0 {
			return out, fault.New(fault.Usage, "clusterbuild.resources", name+"="+text, "not an amount").WithHint("for example cpu=2,memory=4Gi")
		}
		if out.Limits == nil {
			out.Limits = corev1.ResourceList{}
		}
		out.Requests[corev1.ResourceName(name)] = quantity
		out.Limits[corev1.ResourceName(name)] = quantity
	}
	return out, nil
}

func (s *Spec) job(name string, template *corev1.PodTemplateSpec) *batchv1.Job {
	none, ttl := int32(0), int32(KeptFor/time.Second)
	made := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels(name)},
		Spec:       batchv1.JobSpec{BackoffLimit: &none, TTLSecondsAfterFinished: &ttl, Template: *template},
	}
	if s.Lease > 0 {
		deadline := s.longest()
		made.Spec.ActiveDeadlineSeconds = &deadline
	}
	return made
}

func (s *Spec) secret(name string, job *batchv1.Job) *corev1.Secret {
	data := map[string][]byte{corev1.DockerConfigJsonKey: s.DockerConfig}
	maps.Copy(data, s.AuthFiles)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: labels(name),
			// Whatever becomes of this process, the secret goes with the job.
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: job.Name, UID: job.UID}},
		},
		Type: corev1.SecretTypeDockerConfigJson,
		Data: data,
	}
}
