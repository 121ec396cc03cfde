package golang

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

const eventHead = "package function\nimport (\n\"context\"\n\"github.com/cloudevents/sdk-go/v2/event\"\n)\n"

// Every signature of an event function that func's middleware knows, and no other.
func TestEventSignatures(t *testing.T) {
	params := map[string]shape{"": {}, "context.Context": {context: true}, "e event.Event": {event: true}, "ctx context.Context, e event.Event": {context: true, event: true}}
	results := map[string]shape{"": {}, "error": {mayError: true}, "*event.Event": {answers: true}, "(*event.Event, error)": {answers: true, mayError: true}}
	known := 0
	for in, takes := range params {
		for out, gives := range results {
			want := shape{context: takes.context, event: takes.event, answers: gives.answers, mayError: gives.mayError}
			for _, function := range []string{"func Handle(" + in + ") " + out, "type F struct{}\nfunc New() *F { return nil }\nfunc (f *F) Handle(" + in + ") " + out} {
				dir := folder(t, map[string]string{"go.mod": "module function\n", "handle.go": eventHead + function + " { panic(1) }\n"})
				got, err := inspect(dir, "hello", view{})
				if want.answers && !want.event {
					if err == nil || !strings.Contains(err.Error(), "does not have the signature of a function") {
						t.Errorf("%s: %v", function, err)
					}
					continue
				}
				if err != nil || got.shape == nil || *got.shape != want || !strings.HasSuffix(got.describe(), "of events") {
					t.Errorf("%s: %+v, %v", function, got, err)
					continue
				}
				known++
				if _, err := parser.ParseFile(token.NewFileSet(), "main.go", bind(got), parser.AllErrors); err != nil {
					t.Errorf("%s: %v\n%s", function, err, bind(got))
				}
			}
		}
	}
	if known != 2*12 {
		t.Errorf("%d signatures are known, want 24", known)
	}
}

func TestNotEventSignatures(t *testing.T) {
	for _, signature := range []string{
		"(e *event.Event)", "(e event.Event, ctx context.Context)", "(e event.Event) event.Event", "(e event.Event) (error, *event.Event)",
		"(a, b event.Event)", "(ctx context.Context, n int) error", "(e event.Event) (*event.Event, error, error)",
	} {
		dir := folder(t, map[string]string{"go.mod": "module function\n", "handle.go": eventHead + "func Handle" + signature + " { panic(1) }\n"})
		if got, err := inspect(dir, "hello", view{}); err == nil {
			t.Errorf("%s: %+v", signature, got.shape)
		}
	}
}
