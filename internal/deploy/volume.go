package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// volumeName returns a DNS label derived from where the volume is mounted: the same
// for the same path, and another for another. Where the path cannot be told from the
// label alone, a part of its digest is added.
func volumeName(mountPath string) string {
	mountPath = path.Clean(mountPath)
	exact := true
	label := strings.Map(func(r rune) rune {
		switch {
		case r == '/', 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			r += 'a' - 'A'
		default:
			r = '-'
		}
		exact = false
		return r
	}, strings.Trim(mountPath, "/"))
	name := "vol-" + strings.ReplaceAll(label, "/", "-")
	if exact && len(name) <= maxLabel {
		return strings.TrimRight(name, "-") // the root has no label
	}
	sum := sha256.Sum256([]byte(mountPath))
	suffix := hex.EncodeToString(sum[:4])
	return strings.TrimRight(name[:min(len(name), maxLabel-1-len(suffix))], "-") + "-" + suffix
}

// maxLabel is the length of a DNS label (RFC 1035).
const maxLabel = 63

func (e *editor) mount(v Volume) error {
	name := volumeName(v.Path)
	source, err := volumeSource(v)
	if err != nil {
		return err
	}
	e.unmount(name)
	e.template.Spec.Volumes = append(e.template.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	e.container.VolumeMounts = append(e.container.VolumeMounts, corev1.VolumeMount{
		Name: name, MountPath: v.Path, ReadOnly: v.ReadOnly || v.Secret != "" || v.ConfigMap != "",
	})
	return nil
}

func (e *editor) unmount(name string) {
	e.template.Spec.Volumes = slices.DeleteFunc(e.template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name })
	e.container.VolumeMounts = slices.DeleteFunc(e.container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == name })
}

func volumeSource(v Volume) (corev1.VolumeSource, error) {
	switch {
	case v.Secret != "":
		return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: v.Secret}}, nil
	case v.ConfigMap != "":
		return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: v.ConfigMap}}}, nil
	case v.Claim != "":
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.Claim, ReadOnly: v.ReadOnly}}, nil
	}
	dir := &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMedium(v.Medium)}
	if v.SizeLimit != "" {
		limit, err := resource.ParseQuantity(v.SizeLimit)
		if err != nil {
			return corev1.VolumeSource{}, fault.New(fault.Usage, "deploy.desired", "volume "+v.Path, "sizeLimit %q is not a quantity: %w", v.SizeLimit, err)
		}
		dir.SizeLimit = &limit
	}
	return corev1.VolumeSource{EmptyDir: dir}, nil
}
