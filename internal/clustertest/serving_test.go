package clustertest

import "testing"

// What eventually waits for has come when there is no complaint: an empty log has to be one.
func TestMissingLines(t *testing.T) {
	for _, tt := range []struct {
		name string
		log  []string
		want string
	}{
		{"nothing was written yet", nil, `"request /a" is not in the log []`},
		{"an empty line", []string{""}, `"request /a" is not in the log [""]`},
		{"other lines", []string{"request /b", "crashing"}, `"request /a" is not in the log ["request /b" "crashing"]`},
		{"the beginning of the line", []string{"request /abc"}, `"request /a" is not in the log ["request /abc"]`},
		{"the line", []string{"request /b", "request /a"}, ""},
	} {
		if got := missing(tt.log, "request /a"); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
