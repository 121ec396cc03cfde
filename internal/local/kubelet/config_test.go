package kubelet_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/kubelet"
	"github.com/kn-lite/kn-lite/test/runtimetest"
)

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "default", Name: name}
}

func secret(name string, pairs ...string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: named(name), Data: map[string][]byte{}}
	for i := 0; i < len(pairs); i += 2 {
		s.Data[pairs[i]] = []byte(pairs[i+1])
	}
	return s
}

func configMap(name string, pairs ...string) *corev1.ConfigMap {
	c := &corev1.ConfigMap{ObjectMeta: named(name), Data: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		c.Data[pairs[i]] = pairs[i+1]
	}
	return c
}

func fromSecret(name, key string, optional bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: &optional}}
}

func fromConfigMap(name, key string, optional bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: &optional}}
}

func fromField(path string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
}

func fromResource(name, divisor string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: name, Divisor: resource.MustParse(divisor)}}
}

// started is what the runtime was given for a pod.
func (p *platform) started(pod *corev1.Pod) runtimetest.Container {
	p.t.Helper()
	got := make(chan runtimetest.Container, 8)
	p.runtime.OnStart = func(c runtimetest.Container) { got <- c }
	p.create(pod)
	select {
	case c := <-got:
		return c
	case <-time.After(patience):
		p.t.Fatalf("it is not started; the pod is %s", describe(p.pod()))
	}
	return runtimetest.Container{}
}

func variables(c runtimetest.Container) map[string]string {
	out := map[string]string{}
	for _, v := range c.Env {
		name, value, _ := strings.Cut(v, "=")
		out[name] = value
	}
	return out
}

func TestEnvironment(t *testing.T) {
	p := start(t, nil)
	p.runtime.Image.Env = []string{"PATH=/opt/bin", "FROM_IMAGE=yes", "GREETING=from the image"}
	p.create(secret("db", "password", "s3cret", "user", "app"))
	p.create(configMap("settings", "level", "debug", "user", "from the config map"))
	pod := onePod()
	pod.Labels, pod.Annotations = map[string]string{"app": "fn"}, map[string]string{"note": "a b"}
	c := &pod.Spec.Containers[0]
	c.Ports = []corev1.ContainerPort{{ContainerPort: 8080}}
	c.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m"), corev1.ResourceMemory: resource.MustParse("64Mi")}
	c.EnvFrom = []corev1.EnvFromSource{
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
		{Prefix: "DB_", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}}},
		{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}, Optional: new(true)}},
	}
	c.Env = []corev1.EnvVar{
		{Name: "GREETING", Value: "hello"},
		{Name: "user", Value: "from the spec"},
		{Name: "PASSWORD", ValueFrom: fromSecret("db", "password", false)},
		{Name: "LEVEL", ValueFrom: fromConfigMap("settings", "level", false)},
		{Name: "MISSING", ValueFrom: fromSecret("none", "x", true)},
		{Name: "MISSING_KEY", ValueFrom: fromConfigMap("settings", "x", true)},
		{Name: "URL", Value: "db://$(DB_user):$(PASSWORD)@host/$(level)?x=$$(y)&$(UNKNOWN)&$(LATER)$"},
		{Name: "LATER", Value: "x"},
		{Name: "EMPTY", Value: ""},
		{Name: "POD", ValueFrom: fromField("metadata.name")},
		{Name: "NAMESPACE", ValueFrom: fromField("metadata.namespace")},
		{Name: "APP", ValueFrom: fromField("metadata.labels['app']")},
		{Name: "NOTE", ValueFrom: fromField("metadata.annotations['note']")},
		{Name: "IP", ValueFrom: fromField("status.podIP")},
		{Name: "ACCOUNT", ValueFrom: fromField("spec.serviceAccountName")},
		{Name: "CPUS", ValueFrom: fromResource("limits.cpu", "1")},
		{Name: "MILLICPUS", ValueFrom: fromResource("limits.cpu", "1m")},
		{Name: "MEBIBYTES", ValueFrom: fromResource("limits.memory", "1Mi")},
		{Name: "PORT", Value: "8080"},
	}
	env := variables(p.started(pod))
	want := map[string]string{
		"PATH": "/opt/bin", "FROM_IMAGE": "yes", "GREETING": "hello", "HOSTNAME": "pod",
		"level": "debug", "user": "from the spec", "DB_password": "s3cret", "DB_user": "app",
		"PASSWORD": "s3cret", "LEVEL": "debug", "EMPTY": "", "LATER": "x",
		"URL": "db://app:s3cret@host/debug?x=$(y)&$(UNKNOWN)&$(LATER)$",
		"POD": "pod", "NAMESPACE": "default", "APP": "fn", "NOTE": "a b", "IP": "127.0.0.1", "ACCOUNT": "default",
		"CPUS": "2", "MILLICPUS": "1500", "MEBIBYTES": "64", "PORT": "8080",
	}
	for name, value := range want {
		if got, ok := env[name]; !ok || got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
		delete(env, name)
	}
	if len(env) > 0 {
		t.Errorf("there are also %v", env)
	}
}

func TestMissingConfiguration(t *testing.T) {
	from := func(ref *corev1.EnvVarSource) func(*corev1.Container) {
		return func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "X", ValueFrom: ref}} }
	}
	tests := []struct {
		name    string
		break_  func(*corev1.Container)
		message string
		mend    func(*platform)
	}{
		{"secret", from(fromSecret("db", "key", false)), `secret "db" not found`, func(p *platform) { p.create(secret("db", "key", "v")) }},
		{"key of a secret", from(fromSecret("there", "key", false)), "couldn't find key key in Secret default/there", func(p *platform) {
			if _, err := p.store.Update(secret("there", "key", "v")); err != nil {
				p.t.Fatal(err)
			}
		}},
		{"config map", from(fromConfigMap("settings", "key", false)), `configmap "settings" not found`, func(p *platform) { p.create(configMap("settings", "key", "v")) }},
		{"config map for all", func(c *corev1.Container) {
			c.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}}
		}, `configmap "settings" not found`, func(p *platform) { p.create(configMap("settings", "X", "v")) }},
		{"secret for all", func(c *corev1.Container) {
			c.EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}}}}
		}, `secret "db" not found`, func(p *platform) { p.create(secret("db", "X", "v")) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, nil)
			p.create(secret("there"))
			pod := server()
			tt.break_(&pod.Spec.Containers[0])
			p.create(pod)
			got := p.until("waits", waitingFor("CreateContainerConfigError"))
			if m := first(got).State.Waiting.Message; m != tt.message {
				t.Errorf("waits for %q, want %q", m, tt.message)
			}
			if !slices.Contains(p.events(), "Failed: Error: "+tt.message) {
				t.Errorf("events %q", p.events())
			}
			if _, err := p.logs(corev1.PodLogOptions{}); err == nil || !strings.Contains(err.Error(), `container "user-container" in pod "pod" is waiting to start: CreateContainerConfigError`) {
				t.Errorf("logs: %v", err)
			}
			tt.mend(p)
			p.until("ready", isReady)
			if got := p.mustGet("/env/X"); got != "v" {
				t.Errorf("X is %q", got)
			}
		})
	}
}

func TestCommandLine(t *testing.T) {
	tests := []struct{ command, args, want []string }{
		{nil, nil, []string{"/entry", "-e", "cmd"}},
		{nil, []string{"a", "$(X)"}, []string{"/entry", "-e", "a", "1"}},
		{[]string{"/bin/$(X)"}, nil, []string{"/bin/1"}},
		{[]string{"/bin/x"}, []string{"$$(X)"}, []string{"/bin/x", "$(X)"}},
	}
	for _, tt := range tests {
		p := start(t, nil)
		p.runtime.Image.Entrypoint, p.runtime.Image.Cmd = []string{"/entry", "-e"}, []string{"cmd"}
		pod := onePod()
		c := &pod.Spec.Containers[0]
		c.Command, c.Args, c.Env = tt.command, tt.args, []corev1.EnvVar{{Name: "X", Value: "1"}}
		if got := p.started(pod).Args; !slices.Equal(got, tt.want) {
			t.Errorf("command %q, args %q: %q", tt.command, tt.args, got)
		}
	}
	p := start(t, nil)
	p.runtime.Image.Entrypoint = []string{}
	p.create(onePod())
	if got := p.until("fails", waitingFor("CreateContainerError")); first(got).State.Waiting.Message != "no command specified" {
		t.Errorf("waits: %+v", first(got).State.Waiting)
	}
}

func TestWhoItRunsAs(t *testing.T) {
	one, zero, group := int64(1), int64(0), int64(7)
	yes, no := true, false
	tests := []struct {
		name      string
		image     string
		pod       *corev1.PodSecurityContext
		container *corev1.SecurityContext
		user      string
		refused   string
	}{
		{"nothing", "", nil, nil, "", ""},
		{"the image's", "app:staff", nil, nil, "app:staff", ""},
		{"the container's", "app", nil, &corev1.SecurityContext{RunAsUser: &one}, "1", ""},
		{"the pod's", "app", &corev1.PodSecurityContext{RunAsUser: &one, RunAsGroup: &group}, nil, "1:7", ""},
		{"the container's before the pod's", "", &corev1.PodSecurityContext{RunAsUser: &zero}, &corev1.SecurityContext{RunAsUser: &one}, "1", ""},
		{"a group alone", "app:staff", nil, &corev1.SecurityContext{RunAsGroup: &group}, "app:7", ""},
		{"a group alone, of root", "", nil, &corev1.SecurityContext{RunAsGroup: &group}, "0:7", ""},
		{"no root, and none", "65532", nil, &corev1.SecurityContext{RunAsNonRoot: &yes}, "65532", ""},
		{"no root, and the image is", "", nil, &corev1.SecurityContext{RunAsNonRoot: &yes}, "", "container has runAsNonRoot and image will run as root"},
		{"no root, and the image is by number", "0:0", &corev1.PodSecurityContext{RunAsNonRoot: &yes}, nil, "", "container has runAsNonRoot and image will run as root"},
		{"no root, and a name", "app", nil, &corev1.SecurityContext{RunAsNonRoot: &yes}, "", "image has non-numeric user (app), cannot verify user is non-root"},
		{"no root, and the spec is", "1", nil, &corev1.SecurityContext{RunAsNonRoot: &yes, RunAsUser: &zero}, "", "container's runAsUser breaks non-root policy"},
		{"the container may, and the pod not", "", &corev1.PodSecurityContext{RunAsNonRoot: &yes}, &corev1.SecurityContext{RunAsNonRoot: &no}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, nil)
			p.runtime.Image.User = tt.image
			pod := onePod()
			pod.Spec.SecurityContext, pod.Spec.Containers[0].SecurityContext = tt.pod, tt.container
			if tt.refused == "" {
				if got := p.started(pod); got.User != tt.user {
					t.Errorf("user %q, want %q", got.User, tt.user)
				}
				return
			}
			p.create(pod)
			got := p.until("refused", waitingFor("CreateContainerConfigError"))
			if m := first(got).State.Waiting.Message; !strings.Contains(m, tt.refused) || !strings.Contains(m, "container: user-container)") {
				t.Errorf("it says %q", m)
			}
		})
	}
}

func TestRestOfTheSurroundings(t *testing.T) {
	p := start(t, nil)
	p.runtime.Image.Dir = "/workspace"
	pod := onePod("wait=0")
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{SupplementalGroups: []int64{5}, FSGroup: new(int64(6))}
	c := &pod.Spec.Containers[0]
	c.SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: new(true), AllowPrivilegeEscalation: new(false)}
	c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}
	got := p.started(pod)
	if got.Dir != "/workspace" || !got.ReadOnly || !got.NoNewPrivilege || !slices.Equal(got.Groups, []int64{5, 6}) || got.Limits.Memory().Value() != 64<<20 {
		t.Errorf("%+v", got)
	}
	p.remove(0)
	p.until("gone", gone)
	pod.Spec.Containers[0].WorkingDir = "/elsewhere"
	if got := p.started(pod); got.Dir != "/elsewhere" {
		t.Errorf("folder %s", got.Dir)
	}
}

func TestPullSecrets(t *testing.T) {
	p := start(t, nil)
	var got []string
	p.runtime.FailPull = func(_ context.Context, _ string, secrets [][]byte) error {
		for _, s := range secrets {
			got = append(got, string(s))
		}
		return nil
	}
	p.create(secret("of-pod", ".dockerconfigjson", `{"auths":{"a":{}}}`))
	p.create(secret("of-account", ".dockercfg", `{"b":{}}`))
	p.create(secret("other-type", "password", "x"))
	p.create(&corev1.ServiceAccount{ObjectMeta: named("default"), ImagePullSecrets: []corev1.LocalObjectReference{{Name: "of-account"}, {Name: "of-pod"}}})
	pod := onePod("wait=0")
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "missing"}, {Name: "of-pod"}, {Name: "other-type"}}
	p.started(pod)
	if want := []string{`{"auths":{"a":{}}}`, `{"auths":{"b":{}}}`}; !slices.Equal(got, want) {
		t.Errorf("secrets %q", got)
	}
}

func TestPullPolicy(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	pod := onePod()
	pod.Spec.Containers[0].ImagePullPolicy = corev1.PullNever
	p.create(pod)
	got := p.until("fails", waitingFor("ErrImageNeverPull"))
	if m := first(got).State.Waiting.Message; !strings.HasSuffix(m, "is not present with pull policy of Never") {
		t.Errorf("waits: %s", m)
	}
	p.remove(0)
	p.until("gone", gone)
	pod = onePod("wait=0")
	p.started(pod)
	p.remove(0)
	p.until("gone", gone)
	p.started(pod)
	if events := strings.Join(p.events(), "\n"); strings.Count(events, "Pulling: ") != 1 || !strings.Contains(events, "already present on machine") {
		t.Errorf("events %s", events)
	}
}

// tokens are made of what is asked for.
type tokens struct{}

func (tokens) Token(_ context.Context, pod *corev1.Pod, audience string, lifetime time.Duration) (string, error) {
	return fmt.Sprintf("%s for %s in %s", pod.Name, audience, lifetime), nil
}

func volumePod() *corev1.Pod {
	pod := server()
	config := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	volumes := map[string]corev1.VolumeSource{
		"secret": {Secret: &corev1.SecretVolumeSource{SecretName: "db"}},
		"config": {ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: config("settings"), DefaultMode: new(int32(0o400)), Items: []corev1.KeyToPath{
			{Key: "level", Path: "deep/er/level"}, {Key: "binary", Path: "binary", Mode: new(int32(0o755))},
		}}},
		"none":  {Secret: &corev1.SecretVolumeSource{SecretName: "none", Optional: new(true)}},
		"empty": {EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: new(resource.MustParse("1Mi"))}},
		"all": {Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{Secret: &corev1.SecretProjection{LocalObjectReference: config("db"), Items: []corev1.KeyToPath{{Key: "user", Path: "user"}}}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: config("settings"), Items: []corev1.KeyToPath{{Key: "level", Path: "level"}}}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: config("nothing"), Optional: new(true)}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}}}},
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", Audience: "bank", ExpirationSeconds: new(int64(600))}},
		}}},
	}
	pod.Labels = map[string]string{"app": "fn", "b": `quo"te`}
	for name, source := range volumes {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
		pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: name, MountPath: "/" + name})
	}
	return pod
}

func TestVolumes(t *testing.T) {
	p := start(t, func(o *kubelet.Options) { o.Tokens = tokens{} })
	p.create(secret("db", "user", "app", "password", "s3cret"))
	settings := configMap("settings", "level", "debug")
	settings.BinaryData = map[string][]byte{"binary": {0, 255}}
	p.create(settings)
	got := p.started(volumePod())
	at := map[string]string{}
	for _, m := range got.Mounts {
		at[m.Target] = filepath.Join(m.Source, m.SubPath)
		if wantReadOnly := m.Target != "/empty" && m.Target != "/dev/termination-log"; m.ReadOnly != wantReadOnly {
			t.Errorf("%s: read-only is %v", m.Target, m.ReadOnly)
		}
	}
	files := []struct {
		path, text string
		mode       os.FileMode
	}{
		{"/secret/user", "app", 0o644},
		{"/secret/password", "s3cret", 0o644},
		{"/config/deep/er/level", "debug", 0o400},
		{"/config/binary", "\x00\xff", 0o755},
		{"/all/user", "app", 0o644},
		{"/all/level", "debug", 0o644},
		{"/all/labels", "app=\"fn\"\nb=\"quo\\\"te\"", 0o644},
		{"/all/token", "pod for bank in 10m0s", 0o644},
		{"/dev/termination-log", "", 0o666},
	}
	for _, f := range files {
		target := f.path
		for at[target] == "" {
			target = filepath.Dir(target)
		}
		host := filepath.Join(at[target], strings.TrimPrefix(f.path, target))
		text, err := os.ReadFile(host)
		if err != nil || string(text) != f.text {
			t.Errorf("%s has %q, %v", f.path, text, err)
			continue
		}
		if info, err := os.Stat(host); err != nil || info.Mode().Perm() != f.mode {
			t.Errorf("%s has mode %v, want %v", f.path, info.Mode(), f.mode)
		}
	}
	for _, empty := range []string{"/none", "/empty"} {
		entries, err := os.ReadDir(at[empty])
		entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "..") })
		if err != nil || len(entries) > 0 {
			t.Errorf("%s has %v, %v", empty, entries, err)
		}
	}
	p.until("ready", isReady)
	if got := p.mustGet("/cat/all:level"); !strings.HasPrefix(got, "debug") {
		t.Errorf("the container reads %q", got)
	}
}

func TestMissingVolumes(t *testing.T) {
	tests := []struct {
		name    string
		source  corev1.VolumeSource
		message string
	}{
		{"secret", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "late"}}, `secret "late" not found`},
		{"config map", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "late"}}}, `configmap "late" not found`},
		{"key", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "there", Items: []corev1.KeyToPath{{Key: "key", Path: "x"}}}}, "references non-existent secret key: key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, nil)
			p.create(secret("there"))
			pod := server()
			pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: tt.source}}
			pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}
			p.create(pod)
			want := `FailedMount: MountVolume.SetUp failed for volume "v" : ` + tt.message
			p.until("an event", func(*corev1.Pod) bool { return slices.Contains(p.events(), want) })
			if got := p.pod(); first(got).State.Waiting.Reason != "ContainerCreating" {
				t.Errorf("status %+v", got.Status)
			}
			p.create(secret("late", "key", "v"))
			p.create(configMap("late", "key", "v"))
			if _, err := p.store.Update(secret("there", "key", "v")); err != nil {
				t.Fatal(err)
			}
			p.until("ready", isReady)
		})
	}
}

func TestVolumeThatThereIsNot(t *testing.T) {
	p := start(t, nil)
	pod := server()
	pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
	p.create(pod)
	p.until("an event", func(*corev1.Pod) bool {
		return slices.ContainsFunc(p.events(), func(e string) bool { return strings.Contains(e, "has no volumes of this type") })
	})
	p.remove(30)
	p.until("gone", gone)
}

func TestSubPaths(t *testing.T) {
	p := start(t, nil)
	pod := onePod("wait=0")
	pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	c := &pod.Spec.Containers[0]
	c.Env = []corev1.EnvVar{{Name: "WHO", Value: "me"}}
	c.VolumeMounts = []corev1.VolumeMount{
		{Name: "v", MountPath: "/a", SubPath: "sub/$(WHO)"}, {Name: "v", MountPath: "/b", SubPathExpr: "sub/$(WHO)", ReadOnly: true},
	}
	got := p.started(pod)
	if got.Mounts[0].SubPath != "sub/$(WHO)" || got.Mounts[1].SubPath != "sub/me" || !got.Mounts[1].ReadOnly {
		t.Errorf("%+v", got.Mounts)
	}
	p.remove(0)
	p.until("gone", gone)
	c.Env[0].Value = "../../etc"
	p.create(pod)
	p.until("refused", waitingFor("CreateContainerConfigError"))
}

func TestTerminationMessage(t *testing.T) {
	for policy, want := range map[corev1.TerminationMessagePolicy]string{
		corev1.TerminationMessageReadFile: "", corev1.TerminationMessageFallbackToLogsOnError: "in the log\n",
	} {
		p := start(t, nil)
		pod := onePod("say=in the log", "exit=1")
		pod.Spec.Containers[0].TerminationMessagePolicy = policy
		p.create(pod)
		got := p.until("ended", func(got *corev1.Pod) bool { return first(got).LastTerminationState.Terminated != nil })
		if m := first(got).LastTerminationState.Terminated.Message; m != want {
			t.Errorf("policy %s: %q", policy, m)
		}
	}
	p := start(t, nil)
	pod := onePod("say=in the log", "write=/var/why:the reason", "exit=1")
	pod.Spec.Containers[0].TerminationMessagePath = "/var/why"
	pod.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	p.create(pod)
	got := p.until("waits", waitingFor("CrashLoopBackOff"))
	if m := first(got).LastTerminationState.Terminated.Message; m != "the reason" {
		t.Errorf("the message is %q", m)
	}
}
