package wrapper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// post gives one request to a function of events that calls call.
func post(call func(context.Context, message) (*message, error), header map[string]string, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	eventHandler(call)(w, r)
	return w
}

func TestEventsComeInEitherMode(t *testing.T) {
	modes := map[string]string{"Content-Type": "application/cloudevents+json; charset=utf-8"}
	binary := map[string]string{"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "/s", "Ce-Type": "t"}
	with := func(more map[string]string) map[string]string {
		out := map[string]string{}
		for _, m := range []map[string]string{binary, more} {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	tests := []struct {
		name   string
		header map[string]string
		body   string
		want   map[string]string // attributes beside the four of every event
		data   string
	}{
		{"binary", with(map[string]string{"Content-Type": "application/json", "Ce-Traceid": "x"}), `{"a":1}`, map[string]string{"datacontenttype": "application/json", "traceid": "x"}, `{"a":1}`},
		{"binary, encoded", with(map[string]string{"Ce-Subject": "Euro%20%E2%82%AC%20%F0%9F%98%80", "Ce-Share": "100%"}), "", map[string]string{"subject": "Euro € 😀", "share": "100%"}, ""},
		{"structured", modes, `{"specversion":"1.0","id":"1","source":"/s","type":"t","n":5,"b":true,"gone":null,"data":{"a": 1}}`, map[string]string{"n": "5", "b": "true", "datacontenttype": "application/json"}, `{"a": 1}`},
		{"structured text", modes, `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":"a\nb"}`, map[string]string{"datacontenttype": "text/plain"}, "a\nb"},
		{"structured JSON text", modes, `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":"a"}`, map[string]string{"datacontenttype": "application/json"}, `"a"`},
		{"structured base64", modes, `{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"aGk="}`, nil, "hi"},
		{"structured, no data", modes, `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`, nil, ""},
	}
	for _, tt := range tests {
		var got message
		w := post(func(_ context.Context, m message) (*message, error) { got = m; return nil, nil }, tt.header, tt.body)
		if w.Code != http.StatusNoContent {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
			continue
		}
		want := map[string]string{"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
		for k, v := range tt.want {
			want[k] = v
		}
		if diff := cmp.Diff(want, got.attributes); diff != "" || string(got.data) != tt.data {
			t.Errorf("%s: data %q, attributes (-want +got):\n%s", tt.name, got.data, diff)
		}
	}
}

func TestWhatIsNoEventIsRefused(t *testing.T) {
	structured := map[string]string{"Content-Type": "application/cloudevents+json"}
	tests := []struct {
		name   string
		header map[string]string
		body   string
		code   int
		says   string
	}{
		{"plain", nil, "hello", 400, "neither ce- headers nor"},
		{"batch", map[string]string{"Content-Type": "application/cloudevents-batch+json"}, "[]", 415, "one at a time"},
		{"no JSON", structured, "{", 400, "unexpected end"},
		{"a list", structured, "[]", 400, "not a CloudEvent"},
		{"nested attribute", structured, `{"specversion":"1.0","id":{}}`, 400, "the attribute id is neither"},
		{"bad base64", structured, `{"specversion":"1.0","id":"1","source":"/","type":"t","data_base64":"%"}`, 400, "not a CloudEvent"},
		{"version", structured, `{"specversion":"2.0","id":"1","source":"/","type":"t"}`, 400, `specversion "2.0"`},
		{"no type", map[string]string{"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "/"}, "", 400, "it has no type"},
	}
	for _, tt := range tests {
		w := post(func(context.Context, message) (*message, error) {
			t.Errorf("%s reached the function", tt.name)
			return nil, nil
		}, tt.header, tt.body)
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
}

// sdkResult looks like the SDK's result of HTTP.
type sdkResult struct{ StatusCode int }

func (*sdkResult) Error() string { return "result" }

func TestAnswers(t *testing.T) {
	event := &message{attributes: map[string]string{"specversion": "1.0", "id": "2", "subject": "a \"b\" 100% ü\n", "datacontenttype": "text/plain"}, data: []byte("hi")}
	tests := []struct {
		out  *message
		err  error
		code int
		body string
	}{
		{nil, nil, 204, ""},
		{event, nil, 200, "hi"},
		{nil, errors.New("no database"), 500, "no database\n"},
		{nil, fmt.Errorf("slow: %w", &sdkResult{429}), 429, "slow: result\n"},
		{event, &sdkResult{400}, 400, "hi"},
		{nil, &sdkResult{0}, 500, "result\n"},
	}
	for _, tt := range tests {
		w := post(func(context.Context, message) (*message, error) { return tt.out, tt.err },
			map[string]string{"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "/", "Ce-Type": "t"}, "")
		body, err := io.ReadAll(w.Body)
		if err != nil || w.Code != tt.code || string(body) != tt.body {
			t.Errorf("%v, %v: %d %q", tt.out, tt.err, w.Code, body)
		}
		if tt.out == nil {
			continue
		}
		got := []string{w.Header().Get("Ce-Id"), w.Header().Get("Ce-Subject"), w.Header().Get("Content-Type")}
		if diff := cmp.Diff([]string{"2", "a%20%22b%22%20100%25%20%C3%BC%0A", "text/plain"}, got); diff != "" {
			t.Error(diff)
		}
	}
}
