package api

import (
	"encoding/json"
	"errors"
	"net/http"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// patchAttempts is how often a patch without a version is tried on an object
// that others change at the same time.
const patchAttempts = 5

// maxOperations is a cluster's limit of a JSON patch.
const maxOperations = 10000

func (s *Server) patch(w *response, r *request) error {
	if err := r.checkOptions(); err != nil {
		return err
	}
	form := types.PatchType(mediaType(r.Request))
	if form == types.ApplyPatchType || form == types.ApplyYAMLPatchType {
		return s.apply(w, r)
	}
	if !canPatch(r.kind, form) {
		return unsupportedMedia(acceptedPatches(r.kind))
	}
	patch, err := readBody(w, r.Request)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		stored, err := s.patchOnce(w, r, form, patch)
		var refused again
		switch {
		case errors.As(err, &refused) && attempt < patchAttempts:
			continue
		case errors.As(err, &refused):
			return refused.error
		case err != nil:
			return err
		}
		return s.writeObject(w, r, http.StatusOK, stored)
	}
}

// again is a conflict that is no fault of the client's.
type again struct{ error }

func (a again) Unwrap() error { return a.error }

func (s *Server) patchOnce(w http.ResponseWriter, r *request, form types.PatchType, patch []byte) (store.Object, error) {
	old, err := s.current(r)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	if raw, err = patched(r.kind, form, raw, patch); err != nil {
		return nil, err
	}
	next, err := r.decode(w, raw)
	if err != nil {
		return nil, err
	}
	if err := r.fillPlace(next); err != nil {
		return nil, err
	}
	own := next.GetResourceVersion() == old.GetResourceVersion()
	stored, err := s.updateObject(w, r, old, next)
	if own && apierrors.IsConflict(err) {
		return nil, again{err}
	}
	return stored, err
}

func canPatch(kind *store.Kind, form types.PatchType) bool {
	switch form {
	case types.JSONPatchType, types.MergePatchType:
		return true
	case types.StrategicMergePatchType:
		return !isCustom(kind)
	}
	return false
}

// isCustom reports whether a cluster has a kind by a CustomResourceDefinition.
func isCustom(kind *store.Kind) bool { return kind.Group != "" && kind.Group != "apps" }

func acceptedPatches(kind *store.Kind) string {
	if isCustom(kind) {
		return "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
	}
	return "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml"
}

// patched is the JSON of an object after a patch.
func patched(kind *store.Kind, form types.PatchType, object, patch []byte) ([]byte, error) {
	switch form {
	case types.JSONPatchType:
		return jsonPatched(object, patch)
	case types.StrategicMergePatchType:
		out, err := strategicpatch.StrategicMergePatch(object, patch, kind.New())
		if err != nil {
			return nil, badRequest("%v", err)
		}
		return out, nil
	}
	// A list or a word would replace the whole object.
	var fields map[string]any
	if err := json.Unmarshal(patch, &fields); err != nil {
		return nil, badRequest("error decoding patch: %v", err)
	}
	out, err := jsonpatch.MergePatch(object, patch)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	return out, nil
}

func jsonPatched(object, patch []byte) ([]byte, error) {
	operations, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return nil, badRequest("error decoding patch: %v", err)
	}
	if len(operations) > maxOperations {
		return nil, apierrors.NewRequestEntityTooLargeError("the allowed maximum operations in a JSON patch is 10000")
	}
	options := jsonpatch.NewApplyOptions()
	options.AccumulatedCopySizeLimit = bodyLimit // copies of copies grow without end
	out, err := operations.ApplyWithOptions(object, options)
	if err != nil {
		// The patch is well formed and does not fit the object, such as a test that fails.
		refused := apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schemaless(), "", "", 0, false)
		refused.ErrStatus.Message += ": " + err.Error()
		return nil, refused
	}
	if len(out) > bodyLimit {
		return nil, apierrors.NewRequestEntityTooLargeError("limit is 3145728")
	}
	return out, nil
}
