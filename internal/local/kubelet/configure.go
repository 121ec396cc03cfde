package kubelet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

const (
	configFailed = "CreateContainerConfigError"
	createFailed = "CreateContainerError"
)

var errNoCommand = errors.New("no command specified")

// configure says what the runtime is to start. What is missing for it is waited
// for; false says that the pod is to end.
func (c *container) configure(image Image) (Container, bool) {
	for delay := newBackoff(); ; {
		version := c.w.k.o.Store.Version()
		made, err := c.made(image)
		if err == nil {
			return made, c.w.round.Err() == nil
		}
		reason := configFailed
		if errors.Is(err, errNoCommand) {
			reason = createFailed
		}
		c.event(corev1.EventTypeWarning, "Failed", "Error: "+err.Error())
		c.wait(reason, err.Error())
		if !c.w.configChanged(version, delay.Next()) {
			return Container{}, false
		}
	}
}

// configChanged waits until something that pods refer to has changed behind version,
// or until it is time to try again: a disk may have room by then. False says that
// the pod is to end.
func (w *worker) configChanged(version uint64, retry time.Duration) bool {
	ctx, cancel := context.WithTimeout(w.round, retry)
	defer cancel()
	for watch := w.k.o.Store.Watch(version); ; {
		events, err := watch.Next(ctx)
		if err != nil {
			// Too late, or too far behind: look again.
			return w.round.Err() == nil
		}
		if slices.ContainsFunc(events, w.refersTo) {
			return true
		}
	}
}

func (w *worker) refersTo(e store.Event) bool {
	switch e.Object.(type) {
	case *corev1.Secret, *corev1.ConfigMap, *corev1.ServiceAccount:
		return e.Object.GetNamespace() == w.name.Namespace
	}
	return false
}

func (c *container) made(image Image) (Container, error) {
	p, sandbox, s := c.w.current(), c.w.currentSandbox(), c.w.k.o.Store
	if err := mayRun(p, c.spec, image); err != nil {
		return Container{}, err
	}
	env, err := environment(s, p, c.spec)
	if err != nil {
		return Container{}, err
	}
	lookup := func(name string) (string, bool) { value, ok := env[name]; return value, ok }
	mounts, err := c.mounts(lookup)
	if err != nil {
		return Container{}, err
	}
	args := commandLine(c.spec, image, lookup)
	if len(args) == 0 {
		return Container{}, errNoCommand
	}
	whole := withImage(env, image, hostname(p))
	withPorts(whole, c.spec, sandbox)
	out := Container{
		Name: c.spec.Name, Image: image, Args: args, Env: joined(whole), Dir: c.spec.WorkingDir,
		User: userOf(p, c.spec, image), Groups: groupsOf(p), Mounts: mounts, Limits: c.spec.Resources.Limits,
	}
	if out.Dir == "" {
		out.Dir = image.Dir
	}
	if sc := c.spec.SecurityContext; sc != nil {
		out.ReadOnly = is(sc.ReadOnlyRootFilesystem, true)
		out.NoNewPrivilege = is(sc.AllowPrivilegeEscalation, false)
	}
	out.Stdout, out.Stderr = c.openLog()
	return out, nil
}

func is(value *bool, want bool) bool { return value != nil && *value == want }

func commandLine(c *corev1.Container, image Image, lookup func(string) (string, bool)) []string {
	var out []string
	for _, part := range slices.Concat(c.Command, c.Args) {
		out = append(out, expand(part, lookup))
	}
	switch {
	case len(c.Command) > 0:
		return out
	case len(c.Args) > 0:
		return slices.Concat(image.Entrypoint, out)
	}
	return slices.Concat(image.Entrypoint, image.Cmd)
}

// userOf is who the container runs as: what the spec says wins over the image.
func userOf(p *corev1.Pod, c *corev1.Container, image Image) string {
	user, group := ids(p, c)
	switch {
	case user == nil && group == nil:
		return image.User
	case group == nil:
		return strconv.FormatInt(*user, 10)
	}
	name, _, _ := strings.Cut(image.User, ":")
	if user != nil {
		name = strconv.FormatInt(*user, 10)
	}
	if name == "" {
		name = "0"
	}
	return name + ":" + strconv.FormatInt(*group, 10)
}

func ids(p *corev1.Pod, c *corev1.Container) (user, group *int64) {
	if sc := p.Spec.SecurityContext; sc != nil {
		user, group = sc.RunAsUser, sc.RunAsGroup
	}
	if sc := c.SecurityContext; sc != nil {
		if sc.RunAsUser != nil {
			user = sc.RunAsUser
		}
		if sc.RunAsGroup != nil {
			group = sc.RunAsGroup
		}
	}
	return user, group
}

func groupsOf(p *corev1.Pod) []int64 {
	sc := p.Spec.SecurityContext
	if sc == nil {
		return nil
	}
	groups := slices.Clone(sc.SupplementalGroups)
	if sc.FSGroup != nil && !slices.Contains(groups, *sc.FSGroup) {
		groups = append(groups, *sc.FSGroup)
	}
	return groups
}

// mayRun checks runAsNonRoot.
func mayRun(p *corev1.Pod, c *corev1.Container, image Image) error {
	var nonRoot *bool
	if sc := p.Spec.SecurityContext; sc != nil {
		nonRoot = sc.RunAsNonRoot
	}
	if sc := c.SecurityContext; sc != nil && sc.RunAsNonRoot != nil {
		nonRoot = sc.RunAsNonRoot
	}
	if !is(nonRoot, true) {
		return nil
	}
	if user, _ := ids(p, c); user != nil {
		if *user == 0 {
			return fmt.Errorf("container's runAsUser breaks non-root policy (pod: %q, container: %s)", described(p), c.Name)
		}
		return nil
	}
	name, _, _ := strings.Cut(image.User, ":")
	if number, err := strconv.Atoi(name); name == "" || err == nil && number == 0 {
		return fmt.Errorf("container has runAsNonRoot and image will run as root (pod: %q, container: %s)", described(p), c.Name)
	} else if err != nil {
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root (pod: %q, container: %s)", name, described(p), c.Name)
	}
	return nil
}

// mounts are the container's volumes at their places.
func (c *container) mounts(lookup func(string) (string, bool)) ([]Mount, error) {
	var out []Mount
	for _, m := range c.spec.VolumeMounts {
		v, ok := c.w.volumes[m.Name]
		if !ok {
			return nil, fmt.Errorf("cannot find volume %q to mount into container %q", m.Name, c.spec.Name)
		}
		sub := m.SubPath
		if m.SubPathExpr != "" {
			sub = expand(m.SubPathExpr, lookup)
		}
		if slices.Contains(strings.Split(sub, "/"), "..") || strings.HasPrefix(sub, "/") {
			return nil, fmt.Errorf("the sub path %q of volume %q leaves it", sub, m.Name)
		}
		out = append(out, Mount{Target: m.MountPath, Source: v.dir, SubPath: sub, ReadOnly: m.ReadOnly || v.readOnly})
	}
	log, err := c.terminationLog()
	if err != nil {
		return nil, err
	}
	return append(out, log), nil
}

func hostname(p *corev1.Pod) string {
	name := p.Spec.Hostname
	if name == "" {
		name = p.Name
	}
	const longest = 63
	return strings.TrimRight(name[:min(len(name), longest)], "-.")
}

// exec runs a program in the container, for probes and hooks.
func (c *container) exec(ctx context.Context, process Process, args []string) (output string, err error) {
	out := &limited{left: 10 << 10}
	code, err := process.Exec(ctx, args, out)
	switch {
	case err != nil:
		return out.String(), err
	case code != 0:
		return out.String(), fmt.Errorf("command %q exited with %d: %s", args, code, out.String())
	}
	return out.String(), nil
}

// limited is the beginning of what is written to it.
type limited struct {
	strings.Builder
	left int
}

// Write never fails, so that the program that writes goes on.
func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.Builder.Write(p[:n])
	return len(p), nil
}
