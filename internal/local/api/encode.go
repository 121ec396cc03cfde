package api

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// view is how a client wants to see objects.
type view int

const (
	whole    view = iota
	asTable       // rows and columns, for kubectl get
	metadata      // PartialObjectMetadata
	asYAML
)

// accepted returns the first of the Accept headers' forms that there is. What
// accepts only protobuf gets JSON, which every client of Kubernetes reads.
func accepted(headers []string) view {
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		switch {
		case media == "application/yaml":
			return asYAML
		case media != "application/json":
		case params["as"] == "Table" && params["g"] == metav1.GroupName:
			return asTable
		case strings.HasPrefix(params["as"], "PartialObjectMetadata") && params["g"] == metav1.GroupName:
			return metadata
		case params["as"] == "":
			return whole
		}
	}
	return whole
}

// writeObject answers with one object, as the client wants to see it.
func (s *Server) writeObject(w http.ResponseWriter, r *request, code int, object store.Object) error {
	return writeJSON(w, r.view, code, s.show(r, object))
}

// show is an object as a client wants to see it.
func (s *Server) show(r *request, object store.Object) any {
	switch r.view {
	case asTable:
		table := newTable(r.kind, []store.Object{object}, r.query.Get("includeObject"))
		table.ResourceVersion = object.GetResourceVersion()
		return table
	case metadata:
		return partial(object)
	}
	return object
}

func partial(object store.Object) *metav1.PartialObjectMetadata {
	out := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: "meta.k8s.io/v1"}}
	if accessor, ok := object.(metav1.ObjectMetaAccessor); ok {
		if meta, ok := accessor.GetObjectMeta().(*metav1.ObjectMeta); ok {
			out.ObjectMeta = *meta
		}
	}
	return out
}

func writeJSON(w http.ResponseWriter, v view, code int, answer any) error {
	raw, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	media := "application/json"
	if v == asYAML {
		media = "application/yaml"
		if raw, err = yaml.JSONToYAML(raw); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(code)
	// Who has gone away learns nothing from an error.
	_, _ = w.Write(append(raw, '\n'))
	return nil
}

func writeText(w http.ResponseWriter, body string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(body))
	return nil
}
