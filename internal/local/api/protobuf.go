package api

import (
	"bytes"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// protobufMedia is what clients of Kubernetes' own kinds send. Answers are JSON,
// which the same clients accept.
const protobufMedia = "application/vnd.kubernetes.protobuf"

// unmarshaler is a type with a protobuf form.
type unmarshaler interface{ Unmarshal(raw []byte) error }

// readEnvelope opens the envelope of an object, and returns the kind that it names.
func readEnvelope(raw []byte) (schema.GroupVersionKind, []byte, error) {
	body, ok := bytes.CutPrefix(raw, []byte("k8s\x00"))
	if !ok {
		return schema.GroupVersionKind{}, nil, badRequest("the body is not in the form %s: it does not begin with k8s", protobufMedia)
	}
	var envelope runtime.Unknown
	if err := envelope.Unmarshal(body); err != nil {
		return schema.GroupVersionKind{}, nil, badRequest("the body is not in the form %s: %v", protobufMedia, err)
	}
	return schema.FromAPIVersionAndKind(envelope.APIVersion, envelope.Kind), envelope.Raw, nil
}

func unmarshalProtobuf(raw []byte, into any) error {
	target, ok := into.(unmarshaler)
	if !ok {
		return unsupportedMedia(acceptedBodies)
	}
	if err := target.Unmarshal(raw); err != nil {
		return badRequest("the body is not in the form %s: %v", protobufMedia, err)
	}
	return nil
}

// readProtobufObject decodes an object of the request's kind.
func (r *request) readProtobufObject(raw []byte) (store.Object, error) {
	object := r.kind.New()
	kind, raw, err := readEnvelope(raw)
	if err != nil {
		return nil, err
	}
	object.GetObjectKind().SetGroupVersionKind(kind)
	if err := r.checkKind(object); err != nil {
		return nil, err
	}
	return object, unmarshalProtobuf(raw, object)
}
