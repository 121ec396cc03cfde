package credentials

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Whatever stands in a credentials file, an edit changes its entry and no more.
func TestEditAuths(t *testing.T) {
	for _, tt := range []struct{ name, before, want string }{
		{"no file", "", `{"auths":{"new":{}}}`},
		{"an empty object", `{}`, `{"auths":{"new":{}}}`},
		{"no entries", `{"auths":null}`, `{"auths":{"new":{}}}`},
		{
			"others", `{"HttpHeaders":{"A":"b"},"auths":{"old":{"auth":"eA==","email":"x"}},"psFormat":"<&>"}`,
			`{"HttpHeaders":{"A":"b"},"auths":{"new":{},"old":{"auth":"eA==","email":"x"}},"psFormat":"<&>"}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "deep", "config.json")
			if tt.before != "" {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(tt.before), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			err := editAuths(place{path: path, label: path}, func(auths map[string]json.RawMessage) { auths["new"] = json.RawMessage("{}") })
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			raw, err := os.ReadFile(path)
			if err == nil {
				err = json.Unmarshal(raw, &got)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
			}
			if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".kn-lite-*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(`{"auths":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := editAuths(place{path: path, label: path}, func(map[string]json.RawMessage) {}); fault.KindOf(err) != fault.Auth {
		t.Errorf("a list of entries: %v", err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != `{"auths":[]}` {
		t.Errorf("the file is %q now, %v", raw, err)
	}
}
