package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sort"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// selection is what a list or a watch is about.
type selection struct {
	namespace string
	labels    labels.Selector
	fields    fields.Selector
}

func (r *request) selection() (selection, error) {
	by, err := labels.Parse(r.query.Get("labelSelector"))
	if err != nil {
		return selection{}, badRequest("%v", err)
	}
	where, err := fields.ParseSelector(r.query.Get("fieldSelector"))
	if err != nil {
		return selection{}, badRequest("%v", err)
	}
	for _, term := range where.Requirements() {
		if !isSelectable(r.kind, term.Field) {
			return selection{}, badRequest("field label not supported: %s", term.Field)
		}
	}
	return selection{r.namespace, by, where}, nil
}

func (s selection) all() bool { return s.labels.Empty() && s.fields.Empty() }

func (s selection) matches(object store.Object) bool {
	return (s.namespace == "" || object.GetNamespace() == s.namespace) &&
		s.labels.Matches(labels.Set(object.GetLabels())) &&
		(s.fields.Empty() || s.fields.Matches(fieldsOf(object)))
}

// listed is a list as JSON.
type listed struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []any `json:"items"`
}

func (s *Server) list(w *response, r *request) error {
	chosen, err := r.selection()
	if err != nil {
		return err
	}
	limit, err := number(r, "limit")
	if err != nil {
		return err
	}
	if err := r.checkMatch(); err != nil {
		return err
	}
	items, version := s.store.List(r.kind, r.namespace)
	meta := metav1.ListMeta{ResourceVersion: strconv.FormatUint(version, 10)}
	if token := r.query.Get("continue"); token != "" {
		from, err := readContinue(token)
		if err != nil {
			return err
		}
		items, meta.ResourceVersion = behind(items, from), from.Version
	}
	page := make([]store.Object, 0, len(items))
	for i, item := range items {
		if !chosen.matches(item) {
			continue
		}
		if limit > 0 && int64(len(page)) == limit {
			meta.Continue = writeContinue(meta.ResourceVersion, page[len(page)-1])
			if rest := int64(len(items) - i); chosen.all() {
				meta.RemainingItemCount = &rest
			}
			break
		}
		page = append(page, item)
	}
	return writeJSON(w, r.view, http.StatusOK, s.showList(r, page, meta))
}

func (s *Server) showList(r *request, items []store.Object, meta metav1.ListMeta) any {
	if r.view == asTable {
		table := newTable(r.kind, items, r.query.Get("includeObject"))
		table.ListMeta = meta
		return table
	}
	out := listed{TypeMeta: metav1.TypeMeta{Kind: r.kind.Kind + "List", APIVersion: r.kind.GroupVersion().String()}, ListMeta: meta, Items: make([]any, len(items))}
	for i, item := range items {
		out.Items[i] = s.show(r, item)
	}
	if r.view == metadata {
		out.TypeMeta = metav1.TypeMeta{Kind: "PartialObjectMetadataList", APIVersion: "meta.k8s.io/v1"}
	}
	return out
}

func number(r *request, name string) (int64, error) {
	value := r.query.Get(name)
	if value == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return 0, badRequest("%s: Invalid value: %q: must be a number that is not negative", name, value)
	}
	return n, nil
}

// checkMatch refuses what a list cannot promise: the objects of exactly one
// version that has passed.
func (r *request) checkMatch() error {
	match, version := r.query.Get("resourceVersionMatch"), r.query.Get("resourceVersion")
	switch {
	case match == "":
		return nil
	case match != "Exact" && match != "NotOlderThan":
		return badRequest("resourceVersionMatch: Unsupported value: %q: supported values: \"Exact\", \"NotOlderThan\"", match)
	case version == "" || version == "0" && match == "Exact":
		return badRequest("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided")
	case match == "Exact":
		return apierrors.NewResourceExpired("The provided resource version is too old or not available.")
	}
	return nil
}

// position is where a list goes on. Pages show the objects as they are when each
// is asked for, under the version of the first: a watch from there on repeats
// what changed between them, so that nobody who follows a list misses a change.
type position struct {
	Version   string `json:"rv"`
	Namespace string `json:"ns,omitempty"`
	Name      string `json:"name"`
}

func writeContinue(version string, last store.Object) string {
	// Strings marshal.
	raw, _ := json.Marshal(position{version, last.GetNamespace(), last.GetName()})
	return base64.RawURLEncoding.EncodeToString(raw)
}

func readContinue(token string) (position, error) {
	var p position
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || json.Unmarshal(raw, &p) != nil || p.Version == "" {
		return p, badRequest("continue key is not valid: %q", token)
	}
	return p, nil
}

// behind is what follows p in items, which are sorted by namespace and name.
func behind(items []store.Object, p position) []store.Object {
	return items[sort.Search(len(items), func(i int) bool {
		if ns := items[i].GetNamespace(); ns != p.Namespace {
			return ns > p.Namespace
		}
		return items[i].GetName() > p.Name
	}):]
}
