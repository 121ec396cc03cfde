package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	sigsjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// bodyLimit is a cluster's.
const bodyLimit = 3 << 20

// acceptedBodies is what an object may be sent as.
const acceptedBodies = "application/json, application/yaml"

func readBody(w *response, r *http.Request) ([]byte, error) {
	raw, err := w.readAll(r, bodyLimit)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, apierrors.NewTimeoutError("the body of the request took too long", 0)
	case err != nil:
		return nil, badRequest("reading the body: %v", err)
	case len(raw) > bodyLimit:
		return nil, apierrors.NewRequestEntityTooLargeError("limit is 3145728")
	}
	return raw, nil
}

// readInto decodes a body that is not about an object of the store.
func readInto(r *http.Request, raw []byte, into any) error {
	if len(raw) == 0 {
		return nil
	}
	if mediaType(r) == protobufMedia {
		_, raw, err := readEnvelope(raw)
		if err != nil {
			return err
		}
		return unmarshalProtobuf(raw, into)
	}
	// JSON is YAML.
	if err := yaml.Unmarshal(raw, into); err != nil {
		return badRequest("%v", err)
	}
	return nil
}

func mediaType(r *http.Request) string {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return strings.TrimSpace(r.Header.Get("Content-Type"))
	}
	return media
}

// readObject decodes the body as an object of the request's kind, and warns of
// what it does not know.
func (r *request) readObject(w *response) (store.Object, error) {
	raw, err := readBody(w, r.Request)
	if err != nil {
		return nil, err
	}
	switch mediaType(r.Request) {
	case "", "application/json":
	case protobufMedia:
		return r.readProtobufObject(raw)
	case "application/yaml":
		if raw, err = yaml.YAMLToJSONStrict(raw); err != nil {
			return nil, badRequest("%v", err)
		}
	default:
		return nil, unsupportedMedia(acceptedBodies)
	}
	return r.decode(w, raw)
}

// decode makes an object of JSON. A client says by fieldValidation what becomes
// of unknown and double fields: an error, a warning or nothing.
func (r *request) decode(w http.ResponseWriter, raw []byte) (store.Object, error) {
	object := r.kind.New()
	strict, err := sigsjson.UnmarshalStrict(raw, object, sigsjson.DisallowUnknownFields, sigsjson.DisallowDuplicateFields)
	if err != nil {
		return nil, r.undecodable(raw, err)
	}
	if len(strict) > 0 {
		switch mode := r.query.Get("fieldValidation"); mode {
		case "Strict":
			return nil, badRequest("%s in version %q cannot be handled as a %s: %v", r.kind.Kind, r.kind.Version, r.kind.Kind, runtime.NewStrictDecodingError(strict))
		case "Ignore":
		default:
			for _, warning := range strict {
				warn(w, warning.Error())
			}
		}
	}
	return object, r.checkKind(object)
}

// undecodable is the error on JSON that is not the kind's. Of a kind with a schema
// of its own, as Knative's are, a cluster names the field.
func (r *request) undecodable(raw []byte, err error) error {
	var wrong *json.UnmarshalTypeError
	if !isCustom(r.kind) || !errors.As(err, &wrong) || wrong.Field == "" {
		return badRequest("%s in version %q cannot be handled as a %s: %v", r.kind.Kind, r.kind.Version, r.kind.Kind, err)
	}
	var named metav1.PartialObjectMetadata
	_ = json.Unmarshal(raw, &named) // for the name alone
	// Embedded structs are in the path by their Go names, which begin with a capital.
	path := strings.Join(slices.DeleteFunc(strings.Split(wrong.Field, "."), func(part string) bool {
		return part != "" && unicode.IsUpper(rune(part[0]))
	}), ".")
	message := fmt.Sprintf("%s in body must be of type %s: %q", path, jsonType(wrong.Type), wrong.Value)
	return apierrors.NewInvalid(r.kind.GroupVersionKind.GroupKind(), named.Name, field.ErrorList{
		field.TypeInvalid(field.NewPath(path), wrong.Value, message),
	})
}

// jsonType is what OpenAPI calls a Go type.
func jsonType(t reflect.Type) string {
	kind := newShapes(true).of(t).kind
	if kind == "map" || kind == "any" {
		return "object"
	}
	return kind
}

// checkKind refuses an object that is said to be of another kind.
func (r *request) checkKind(object store.Object) error {
	got, want := object.GetObjectKind().GroupVersionKind(), r.kind.GroupVersionKind
	switch {
	case got.GroupVersion().String() != "" && got.GroupVersion() != want.GroupVersion():
		return badRequest("the API version in the data (%s) does not match the expected API version (%s)", got.GroupVersion(), want.GroupVersion())
	case got.Kind != "" && got.Kind != want.Kind:
		return badRequest("the kind in the data (%s) does not match the expected kind (%s)", got.Kind, want.Kind)
	}
	object.GetObjectKind().SetGroupVersionKind(want)
	return nil
}

// checkOptions refuses values of the query that mean nothing.
func (r *request) checkOptions() error {
	var wrong []error
	switch r.query.Get("fieldValidation") {
	case "", "Strict", "Warn", "Ignore":
	default:
		wrong = append(wrong, badRequest("fieldValidation: Unsupported value: %q: supported values: \"Ignore\", \"Strict\", \"Warn\"", r.query.Get("fieldValidation")))
	}
	for _, value := range r.query["dryRun"] {
		if value != "All" {
			wrong = append(wrong, badRequest("dryRun: Unsupported value: %q: supported values: \"All\"", value))
		}
	}
	return errors.Join(wrong...)
}

func (r *request) dryRun() bool { return r.query.Get("dryRun") == "All" }

// warn adds a warning that clients show to their users.
func warn(w http.ResponseWriter, message string) {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ", "\r", " ").Replace(message)
	w.Header().Add("Warning", `299 - "`+quoted+`"`)
}
