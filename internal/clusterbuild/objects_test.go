package clusterbuild

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

func TestObjectNames(t *testing.T) {
	random := regexp.MustCompile(`-[a-z2-7]{8}$`)
	for project, want := range map[string]string{
		"app": "app", "My_App": "my-app", "--x--": "x", "": "app", "日本": "app", "a.b/c": "a-b-c",
		strings.Repeat("long", 20):             strings.Repeat("long", 7) + "lo",
		strings.Repeat("a", 29) + "-" + "tail": strings.Repeat("a", 29),
	} {
		name := objectName(project)
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 || len(name) > 57 {
			t.Errorf("%q: %q is no name of a job: %v", project, name, problems) // its pods have six letters more
		}
		if got := random.ReplaceAllString(strings.TrimPrefix(name, "kn-lite-build-"), ""); got != want {
			t.Errorf("%q: %q, want %q and eight letters", project, name, want)
		}
	}
	if first, second := objectName("app"), objectName("app"); first == second {
		t.Errorf("two builds have one name: %s", first)
	}
}

func podOf(t *testing.T, s Spec, unconfined bool) *corev1.PodTemplateSpec {
	t.Helper()
	s.Program = newOwnProgram(&s, &progresstest.Recorder{})
	pod, err := s.pod("name", unconfined)
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

// The pod has what a sandbox takes, and nothing that a program in it could use.
func TestPodHasFewRights(t *testing.T) {
	pod := podOf(t, Spec{Image: "image", Timeout: time.Hour}, false)
	spec, c := pod.Spec, pod.Spec.Containers[0]
	security := c.SecurityContext
	if diff := cmp.Diff(&corev1.Capabilities{
		Drop: []corev1.Capability{"ALL"}, Add: []corev1.Capability{"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"},
	}, security.Capabilities); diff != "" {
		t.Error(diff)
	}
	if security.Privileged != nil || security.ReadOnlyRootFilesystem == nil || !*security.ReadOnlyRootFilesystem || *security.RunAsUser != 0 {
		t.Errorf("%+v", security)
	}
	if *spec.AutomountServiceAccountToken || *spec.EnableServiceLinks || spec.HostNetwork || spec.HostPID || spec.SecurityContext != nil {
		t.Errorf("%+v", spec)
	}
	if spec.RestartPolicy != corev1.RestartPolicyNever || *spec.ActiveDeadlineSeconds != 3630 {
		t.Errorf("restarts %s, ends after %d s", spec.RestartPolicy, *spec.ActiveDeadlineSeconds)
	}
	// A connection that broke off may come back.
	if !c.Stdin || c.StdinOnce || c.TTY || c.TerminationMessagePath != VerdictFile || c.TerminationMessagePolicy != corev1.TerminationMessageReadFile {
		t.Errorf("%+v", c)
	}
	for _, v := range spec.Volumes {
		if v.HostPath != nil || v.Secret != nil {
			t.Errorf("a volume of nobody's asking: %+v", v)
		}
	}
	if len(spec.ImagePullSecrets) != 0 || pod.Annotations["sidecar.istio.io/inject"] != "false" || pod.Labels[buildKey] != "name" {
		t.Errorf("%+v", pod)
	}
}

func TestPodProfiles(t *testing.T) {
	open := podOf(t, Spec{}, true).Spec.SecurityContext
	if open == nil || open.SeccompProfile.Type != corev1.SeccompProfileTypeUnconfined || open.AppArmorProfile.Type != corev1.AppArmorProfileTypeUnconfined {
		t.Errorf("unconfined is %+v", open)
	}
}

func TestPodArchitecture(t *testing.T) {
	for arch, want := range map[string]map[string]string{
		"":      {"kubernetes.io/os": "linux"},
		"arm64": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"},
	} {
		if diff := cmp.Diff(want, podOf(t, Spec{Architecture: arch}, false).Spec.NodeSelector); diff != "" {
			t.Errorf("%q: %s", arch, diff)
		}
	}
}

// Credentials are files that root alone reads, and what pulls the pod's own image.
func TestPodCredentials(t *testing.T) {
	spec := podOf(t, Spec{DockerConfig: []byte("{}"), AuthFiles: map[string][]byte{"z.pem": nil, "a.pem": nil}}, false).Spec
	if diff := cmp.Diff([]corev1.LocalObjectReference{{Name: "name"}}, spec.ImagePullSecrets); diff != "" {
		t.Error(diff)
	}
	mode := int32(0o400)
	want := &corev1.SecretVolumeSource{SecretName: "name", DefaultMode: &mode, Items: []corev1.KeyToPath{
		{Key: ".dockerconfigjson", Path: "config.json"}, {Key: "a.pem", Path: "a.pem"}, {Key: "z.pem", Path: "z.pem"},
	}}
	if diff := cmp.Diff(want, spec.Volumes[0].Secret); diff != "" {
		t.Error(diff)
	}
	mounted := false
	for _, m := range spec.Containers[0].VolumeMounts {
		mounted = mounted || m.Name == spec.Volumes[0].Name && m.MountPath == "/var/run/kn-lite" && m.ReadOnly
	}
	if !mounted {
		t.Errorf("mounts: %+v", spec.Containers[0].VolumeMounts)
	}
}

func TestPodResources(t *testing.T) {
	for name, tt := range map[string]struct {
		wanted           map[string]string
		requests, limits map[string]string
	}{
		"none": {nil, map[string]string{"cpu": "250m", "memory": "512Mi"}, nil},
		"one":  {map[string]string{"memory": "4Gi"}, map[string]string{"cpu": "250m", "memory": "4Gi"}, map[string]string{"memory": "4Gi"}},
		"all": {
			map[string]string{"cpu": "2", "memory": "4Gi", "ephemeral-storage": "20Gi"},
			map[string]string{"cpu": "2", "memory": "4Gi", "ephemeral-storage": "20Gi"},
			map[string]string{"cpu": "2", "memory": "4Gi", "ephemeral-storage": "20Gi"},
		},
	} {
		got := podOf(t, Spec{Resources: tt.wanted}, false).Spec.Containers[0].Resources
		texts := func(list corev1.ResourceList) map[string]string {
			var out map[string]string
			for name, quantity := range list {
				if out == nil {
					out = map[string]string{}
				}
				out[string(name)] = quantity.String()
			}
			return out
		}
		if diff := cmp.Diff(tt.requests, texts(got.Requests)) + cmp.Diff(tt.limits, texts(got.Limits)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, bad := range []map[string]string{{"memory": "0"}, {"memory": "-1Gi"}, {"cpu": ""}, {"cpu": "two"}, {"nvidia.com/gpu": "1"}, {"Memory": "1Gi"}} {
		if _, err := (&Spec{Resources: bad}).resources(); fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// A job whose program notices the silence of its client needs no deadline of its own.
func TestJobs(t *testing.T) {
	s := &Spec{Timeout: time.Minute}
	job := s.job("name", &corev1.PodTemplateSpec{})
	if *job.Spec.BackoffLimit != 0 || *job.Spec.TTLSecondsAfterFinished != 60 || job.Spec.ActiveDeadlineSeconds != nil || job.Labels[buildKey] != "name" {
		t.Errorf("%+v", job)
	}
	s.Lease = time.Second
	if got := s.job("name", &corev1.PodTemplateSpec{}).Spec.ActiveDeadlineSeconds; got == nil || *got != 120 {
		t.Errorf("with a lease it ends after %v s", got)
	}
}

func TestSecretBelongsToTheJob(t *testing.T) {
	s := &Spec{DockerConfig: []byte("config"), AuthFiles: map[string][]byte{"ca.pem": []byte("pem")}}
	secret := s.secret("name", &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "job", UID: "uid"}})
	if diff := cmp.Diff([]metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "job", UID: "uid"}}, secret.OwnerReferences); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string][]byte{".dockerconfigjson": []byte("config"), "ca.pem": []byte("pem")}, secret.Data); diff != "" || secret.Type != corev1.SecretTypeDockerConfigJson {
		t.Error(secret.Type, diff)
	}
}
