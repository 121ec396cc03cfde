package kubelet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// volume is a folder that containers get.
type volume struct {
	dir      string
	readOnly bool
	shown    content // what is in it, nil before there is anything
}

// content is what a volume consists of, by path.
type content map[string]file

type file struct {
	data []byte
	mode fs.FileMode
}

const (
	defaultMode  = 0o644
	tokenSeconds = 3600
)

// mountVolumes makes the pod's volumes. What is missing for them is waited for.
func (w *worker) mountVolumes() error {
	w.volumes, w.tokens = map[string]*volume{}, map[tokenKey]heldToken{}
	for delay := newBackoff(); ; {
		version := w.k.o.Store.Version()
		err := w.makeVolumes()
		if err == nil {
			return nil
		}
		w.event("", corev1.EventTypeWarning, "FailedMount", err.Error())
		if !w.configChanged(version, delay.Next()) {
			return w.round.Err()
		}
	}
}

func (w *worker) makeVolumes() error {
	p, sandbox := w.current(), w.currentSandbox()
	group := int64(-1)
	if sc := p.Spec.SecurityContext; sc != nil && sc.FSGroup != nil {
		group = *sc.FSGroup
	}
	if err := w.makeVolume(terminationVolume, func(*volume) error { return nil }, false); err != nil {
		return fmt.Errorf("the folder of termination messages cannot be made: %w", err)
	}
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		err := w.makeVolume(v.Name, func(made *volume) error {
			if v.EmptyDir != nil {
				if made.shown == nil {
					made.shown = content{}
					return sandbox.Own(w.round, made.dir, group)
				}
				return nil
			}
			files, err := w.contentOf(p, v)
			if err != nil || made.shown != nil && files.same(made.shown) {
				return err
			}
			made.shown = files
			return files.publish(made.dir, group, func() error { return sandbox.Own(w.round, made.dir, group) })
		}, v.EmptyDir == nil)
		if err != nil {
			return fmt.Errorf("MountVolume.SetUp failed for volume %q : %w", v.Name, err)
		}
	}
	return nil
}

// makeVolume makes a folder once, and fills it.
func (w *worker) makeVolume(name string, fill func(*volume) error, readOnly bool) error {
	v, made := w.volumes[name]
	if !made {
		dir, err := w.currentSandbox().Volume(name)
		if err != nil {
			return err
		}
		v = &volume{dir: dir, readOnly: readOnly}
	}
	if err := fill(v); err != nil {
		v.shown = nil
		return err
	}
	if !made { // containers look it up while it is filled anew
		w.volumes[name] = v
	}
	return nil
}

func (w *worker) contentOf(p *corev1.Pod, v *corev1.Volume) (content, error) {
	s, out := w.k.o.Store, content{}
	switch {
	case v.EmptyDir != nil:
		return nil, nil
	case v.Secret != nil:
		return out, out.addSecret(s, p.Namespace, v.Secret.SecretName, v.Secret.Items, v.Secret.DefaultMode, v.Secret.Optional)
	case v.ConfigMap != nil:
		return out, out.addConfigMap(s, p.Namespace, v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.DefaultMode, v.ConfigMap.Optional)
	case v.DownwardAPI != nil:
		return out, out.addFields(p, v.DownwardAPI.Items, v.DownwardAPI.DefaultMode)
	case v.Projected != nil:
		for i := range v.Projected.Sources {
			if err := w.addProjected(out, p, &v.Projected.Sources[i], v.Projected.DefaultMode); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return nil, errors.New("the embedded platform has no volumes of this type: use emptyDir, configMap, secret or projected")
}

func (w *worker) addProjected(out content, p *corev1.Pod, from *corev1.VolumeProjection, mode *int32) error {
	s := w.k.o.Store
	switch {
	case from.Secret != nil:
		return out.addSecret(s, p.Namespace, from.Secret.Name, from.Secret.Items, mode, from.Secret.Optional)
	case from.ConfigMap != nil:
		return out.addConfigMap(s, p.Namespace, from.ConfigMap.Name, from.ConfigMap.Items, mode, from.ConfigMap.Optional)
	case from.DownwardAPI != nil:
		return out.addFields(p, from.DownwardAPI.Items, mode)
	case from.ServiceAccountToken != nil:
		return w.addToken(out, p, from.ServiceAccountToken, mode)
	}
	return errors.New("the embedded platform has no such projection: use configMap, secret, downwardAPI or serviceAccountToken")
}

func (w *worker) addToken(out content, p *corev1.Pod, from *corev1.ServiceAccountTokenProjection, mode *int32) error {
	if w.k.o.Tokens == nil {
		return errors.New("the platform makes no service account tokens")
	}
	seconds := int64(tokenSeconds)
	if from.ExpirationSeconds != nil {
		seconds = *from.ExpirationSeconds
	}
	key := tokenKey{from.Audience, seconds}
	held, ok := w.tokens[key]
	if !ok || !time.Now().Before(held.renew) {
		lifetime := time.Duration(seconds) * time.Second
		token, err := w.k.o.Tokens.Token(w.round, p, from.Audience, lifetime)
		if err != nil {
			return err
		}
		held = heldToken{token, time.Now().Add(time.Duration(float64(lifetime) * renewal))}
		w.tokens[key] = held
	}
	return out.add(from.Path, []byte(held.value), mode, nil)
}

func (f content) addSecret(s *store.Store, namespace, name string, items []corev1.KeyToPath, mode *int32, optional *bool) error {
	secret, err := find[*corev1.Secret](s, namespace, name, optional)
	if secret == nil || err != nil {
		return err
	}
	return f.addItems(secret.Data, items, mode, optional, "secret")
}

func (f content) addConfigMap(s *store.Store, namespace, name string, items []corev1.KeyToPath, mode *int32, optional *bool) error {
	config, err := find[*corev1.ConfigMap](s, namespace, name, optional)
	if config == nil || err != nil {
		return err
	}
	data := map[string][]byte{}
	for key, value := range config.Data {
		data[key] = []byte(value)
	}
	for key, value := range config.BinaryData {
		data[key] = value
	}
	return f.addItems(data, items, mode, optional, "config")
}

func (f content) addItems(data map[string][]byte, items []corev1.KeyToPath, mode *int32, optional *bool, kind string) error {
	if items == nil {
		for key, value := range data {
			if err := f.add(key, value, mode, nil); err != nil {
				return err
			}
		}
		return nil
	}
	for _, item := range items {
		value, ok := data[item.Key]
		switch {
		case ok:
			if err := f.add(item.Path, value, mode, item.Mode); err != nil {
				return err
			}
		case !is(optional, true):
			return fmt.Errorf("references non-existent %s key: %s", kind, item.Key)
		}
	}
	return nil
}

func (f content) addFields(p *corev1.Pod, items []corev1.DownwardAPIVolumeFile, mode *int32) error {
	for _, item := range items {
		var value string
		var err error
		switch {
		case item.FieldRef != nil:
			value, err = podField(p, item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			value, err = resourceField(p, &p.Spec.Containers[0], item.ResourceFieldRef)
		}
		if err == nil {
			err = f.add(item.Path, []byte(value), mode, item.Mode)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add puts a file at a path inside; own wins over the volume's mode.
func (f content) add(path string, data []byte, mode, own *int32) error {
	if path == "" || filepath.IsAbs(path) || slices.Contains(strings.Split(path, "/"), "..") {
		return fmt.Errorf("the path %q is not one inside of the volume", path)
	}
	if own == nil {
		own = mode
	}
	bits := fs.FileMode(defaultMode)
	if own != nil {
		bits = fs.FileMode(*own).Perm() //nolint:gosec // modes are at most 0777
	}
	f[filepath.Clean(path)] = file{data, bits}
	return nil
}

// write makes the files; the pod's group may read them.
func (f content) write(dir string, group int64) error {
	for path, file := range f {
		mode := file.mode
		if group >= 0 {
			mode |= 0o440
		}
		if err := writeFile(filepath.Join(dir, path), file.data, mode); err != nil {
			return err
		}
		// Folders in between are for everybody, whatever the umask is.
		for at := filepath.Dir(path); at != "."; at = filepath.Dir(at) {
			if err := os.Chmod(filepath.Join(dir, at), 0o755); err != nil {
				return err
			}
		}
	}
	return nil
}
