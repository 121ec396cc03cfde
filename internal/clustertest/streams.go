package clustertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// event is one of a watch's.
type event struct {
	Type   string
	Object struct {
		metav1.TypeMeta
		Metadata metav1.ObjectMeta
		Code     int
		Message  string
	}
}

func (e event) String() string { return e.Type + " " + e.Object.Metadata.Name + e.Object.Message }

// stream is a watch that is read.
type stream struct {
	response *http.Response
	events   *json.Decoder
}

func (s *suite) stream(path, query string) *stream {
	s.Helper()
	response, err := s.Wire.send(s.ctx, s.Wire.HTTP, s.Wire.Token, "GET", path+"?watch=1&"+query, "") //nolint:bodyclose // whoever reads the stream closes it
	if err != nil {
		s.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(response.Body)
		s.Fatalf("watch: %d %s", response.StatusCode, raw)
	}
	return &stream{response, json.NewDecoder(response.Body)}
}

// next returns the next event that is no bookmark.
func (s *suite) next(from *stream) event {
	s.Helper()
	for {
		var e event
		if err := from.events.Decode(&e); err != nil {
			s.Fatalf("the watch ended: %v", err)
		}
		if e.Type != "BOOKMARK" {
			return e
		}
	}
}

// testStreams: a list says where a watch goes on; from there each change comes once
// and in order, until the time that the client gave it.
func testStreams(s *suite) {
	secrets := s.Wire.core("secrets")
	version := func() string {
		a := s.Wire.do(s.ctx, "GET", secrets, "")
		var list struct{ Metadata metav1.ListMeta }
		if err := json.Unmarshal([]byte(a.body), &list); err != nil || list.Metadata.ResourceVersion == "" {
			s.Fatalf("list: %d %s", a.code, a.body)
		}
		return list.Metadata.ResourceVersion
	}
	write := func(method, path, body string) {
		s.Helper()
		if a := s.Wire.do(s.ctx, method, path, body); a.code >= 300 {
			s.Fatalf("%s %s: %d %s", method, path, a.code, a.body)
		}
	}
	from := version()
	live := s.stream(secrets, "allowWatchBookmarks=true&resourceVersion="+from)
	defer live.response.Body.Close()
	write("POST", secrets, `{"metadata":{"name":"a","labels":{"kind":"x"}}}`)
	write("PATCH", secrets+"/a", `{"data":{"k":"MQ=="}}`)
	write("POST", secrets, `{"metadata":{"name":"b"}}`)
	write("DELETE", secrets+"/a", "")
	want := []string{"ADDED a", "MODIFIED a", "ADDED b", "DELETED a"}
	check := func(what string, from *stream) (last event) {
		s.Helper()
		var got []string
		for range want {
			last = s.next(from)
			got = append(got, last.String())
		}
		if !slices.Equal(got, want) {
			s.Errorf("%s: %q, want %q", what, got, want)
		}
		return last
	}
	check("live", live)
	// What is behind the version is told again to whoever comes later.
	late := s.stream(secrets, "resourceVersion="+from)
	defer late.response.Body.Close()
	last := check("afterwards", late)
	// A deletion has a version to go on from, as all others.
	write("POST", secrets, `{"metadata":{"name":"c"}}`)
	on := s.stream(secrets, "resourceVersion="+last.Object.Metadata.ResourceVersion)
	defer on.response.Body.Close()
	if e := s.next(on); e.String() != "ADDED c" {
		s.Errorf("behind the deletion comes %s", e)
	}
	s.selected(secrets, version())
	s.ends(secrets, version())
}

// selected: a watch by name sees that name only.
func (s *suite) selected(secrets, version string) {
	s.Helper()
	w := s.stream(secrets, "fieldSelector=metadata.name%3Dd&resourceVersion="+version)
	defer w.response.Body.Close()
	for _, name := range []string{"e", "d"} {
		if a := s.Wire.do(s.ctx, "POST", secrets, fmt.Sprintf(`{"metadata":{"name":%q}}`, name)); a.code != 201 {
			s.Fatal(a.body)
		}
	}
	if e := s.next(w); e.String() != "ADDED d" {
		s.Errorf("a watch of d sees %s", e)
	}
}

// ends: a watch ends in order when its time is up; what it has said till then are
// events, bookmarks among them at most.
func (s *suite) ends(secrets, version string) {
	s.Helper()
	start := time.Now()
	w := s.stream(secrets, "allowWatchBookmarks=true&timeoutSeconds=2&resourceVersion="+version)
	defer w.response.Body.Close()
	for {
		var e event
		err := w.events.Decode(&e)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || e.Type != "BOOKMARK" || e.Object.Metadata.ResourceVersion == "" {
			s.Fatalf("a watch in which nothing happens says %+v, %v", e, err)
		}
	}
	if took := time.Since(start); took < time.Second || took > 2*s.Within {
		s.Errorf("a watch of 2 s took %s", took)
	}
}

// testExpiry: a version that is too old is refused as 410, in the answer or in the
// stream.
func testExpiry(s *suite) {
	old := s.Expired(s.T)
	response, err := s.Wire.send(s.ctx, s.Wire.HTTP, s.Wire.Token, "GET", s.Wire.core("configmaps")+"?watch=1&resourceVersion="+old, "")
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusGone {
		return
	}
	var e event
	if err := json.NewDecoder(response.Body).Decode(&e); err != nil || e.Type != "ERROR" || e.Object.Code != http.StatusGone {
		s.Errorf("a watch from version %s: %d, %+v, %v", old, response.StatusCode, e, err)
	}
	if !strings.Contains(response.Header.Get("Content-Type"), "json") {
		s.Errorf("its type is %s", response.Header.Get("Content-Type"))
	}
}
