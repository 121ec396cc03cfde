package api

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// setCoreDefaults sets what Kubernetes sets on its own kinds.
func setCoreDefaults(object store.Object) {
	switch o := object.(type) {
	case *corev1.Namespace:
		if o.Labels == nil {
			o.Labels = map[string]string{}
		}
		o.Labels[corev1.LabelMetadataName] = o.Name
		if o.Status.Phase == "" {
			o.Status.Phase = corev1.NamespaceActive
		}
	case *corev1.Secret:
		for key, value := range o.StringData {
			if o.Data == nil {
				o.Data = map[string][]byte{}
			}
			o.Data[key] = []byte(value)
		}
		o.StringData = nil
		if o.Type == "" {
			o.Type = corev1.SecretTypeOpaque
		}
	case *corev1.Service:
		setServiceDefaults(o)
	}
}

func setServiceDefaults(o *corev1.Service) {
	if o.Spec.Type == "" {
		o.Spec.Type = corev1.ServiceTypeClusterIP
	}
	if o.Spec.SessionAffinity == "" {
		o.Spec.SessionAffinity = corev1.ServiceAffinityNone
	}
	for i := range o.Spec.Ports {
		port := &o.Spec.Ports[i]
		if port.Protocol == "" {
			port.Protocol = corev1.ProtocolTCP
		}
		if port.TargetPort.String() == "0" {
			port.TargetPort.IntVal = port.Port
		}
	}
}

// validateCore applies the rules of Kubernetes' own kinds that people run into.
func validateCore(old, next store.Object) field.ErrorList {
	switch o := next.(type) {
	case *corev1.Secret:
		return validateSecret(old, o)
	case *corev1.ConfigMap:
		return validateConfigMap(old, o)
	case *corev1.Service:
		return validateService(o)
	}
	return nil
}

func validateSecret(old store.Object, o *corev1.Secret) field.ErrorList {
	size := 0
	var invalid field.ErrorList
	data := field.NewPath("data")
	for key, value := range o.Data {
		size += len(value)
		invalid = append(invalid, validateDataKey(data, key)...)
	}
	if size > corev1.MaxSecretSize {
		invalid = append(invalid, field.TooLong(data, "", corev1.MaxSecretSize))
	}
	invalid = append(invalid, validateSecretType(data, o)...)
	before, ok := old.(*corev1.Secret)
	if !ok {
		return invalid
	}
	if before.Type != o.Type {
		invalid = append(invalid, field.Invalid(field.NewPath("type"), o.Type, "field is immutable"))
	}
	if before.Immutable != nil && *before.Immutable {
		invalid = append(invalid, validateFrozen(o.Immutable, map[string][2]any{"data": {before.Data, o.Data}})...)
	}
	return invalid
}

func validateSecretType(data *field.Path, o *corev1.Secret) field.ErrorList {
	var needed []string
	switch o.Type {
	case corev1.SecretTypeDockerConfigJson:
		needed = []string{corev1.DockerConfigJsonKey}
	case corev1.SecretTypeDockercfg:
		needed = []string{corev1.DockerConfigKey}
	case corev1.SecretTypeTLS:
		needed = []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey}
	case corev1.SecretTypeSSHAuth:
		needed = []string{corev1.SSHAuthPrivateKey}
	case corev1.SecretTypeBasicAuth:
		if o.Data[corev1.BasicAuthUsernameKey] == nil && o.Data[corev1.BasicAuthPasswordKey] == nil {
			needed = []string{corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey}
		}
	}
	var invalid field.ErrorList
	for _, key := range needed {
		value, ok := o.Data[key]
		switch {
		case !ok:
			invalid = append(invalid, field.Required(data.Key(key), ""))
		case (key == corev1.DockerConfigJsonKey || key == corev1.DockerConfigKey) && !json.Valid(value):
			invalid = append(invalid, field.Invalid(data.Key(key), "<secret contents redacted>", "not a JSON document"))
		}
	}
	return invalid
}

func validateConfigMap(old store.Object, o *corev1.ConfigMap) field.ErrorList {
	size := 0
	var invalid field.ErrorList
	for key, value := range o.Data {
		size += len(value)
		invalid = append(invalid, validateDataKey(field.NewPath("data"), key)...)
		if _, twice := o.BinaryData[key]; twice {
			invalid = append(invalid, field.Invalid(field.NewPath("data").Key(key), key, "duplicate of key present in binaryData"))
		}
	}
	for key, value := range o.BinaryData {
		size += len(value)
		invalid = append(invalid, validateDataKey(field.NewPath("binaryData"), key)...)
	}
	if size > corev1.MaxSecretSize {
		invalid = append(invalid, field.TooLong(field.NewPath(""), "", corev1.MaxSecretSize))
	}
	if before, ok := old.(*corev1.ConfigMap); ok && before.Immutable != nil && *before.Immutable {
		invalid = append(invalid, validateFrozen(o.Immutable, map[string][2]any{
			"data": {before.Data, o.Data}, "binaryData": {before.BinaryData, o.BinaryData},
		})...)
	}
	return invalid
}

// validateFrozen holds what is immutable to what it was.
func validateFrozen(immutable *bool, fields map[string][2]any) field.ErrorList {
	var invalid field.ErrorList
	if immutable == nil || !*immutable {
		invalid = append(invalid, field.Forbidden(field.NewPath("immutable"), "field is immutable when `immutable` is set"))
	}
	for name, pair := range fields {
		if !equality.Semantic.DeepEqual(pair[0], pair[1]) {
			invalid = append(invalid, field.Forbidden(field.NewPath(name), "field is immutable when `immutable` is set"))
		}
	}
	return invalid
}

func validateDataKey(path *field.Path, key string) field.ErrorList {
	var invalid field.ErrorList
	for _, message := range validation.IsConfigMapKey(key) {
		invalid = append(invalid, field.Invalid(path.Key(key), key, message))
	}
	return invalid
}

func validateService(o *corev1.Service) field.ErrorList {
	path := field.NewPath("spec", "ports")
	var invalid field.ErrorList
	if len(o.Spec.Ports) == 0 && o.Spec.Type != corev1.ServiceTypeExternalName && o.Spec.ClusterIP != corev1.ClusterIPNone {
		invalid = append(invalid, field.Required(path, ""))
	}
	for i, port := range o.Spec.Ports {
		for _, message := range validation.IsValidPortNum(int(port.Port)) {
			invalid = append(invalid, field.Invalid(path.Index(i).Child("port"), port.Port, message))
		}
		if port.Name == "" && len(o.Spec.Ports) > 1 {
			invalid = append(invalid, field.Required(path.Index(i).Child("name"), fmt.Sprintf("%d ports", len(o.Spec.Ports))))
		}
	}
	return invalid
}
