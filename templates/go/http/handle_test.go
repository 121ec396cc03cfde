package function

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestHandle(t *testing.T) {
	tests := []struct{ name, greeting, target, want string }{
		{"no name", "", "/", "Hello, World!\n"},
		{"a name", "", "/?name=Ada", "Hello, Ada!\n"},
		{"greeting from the environment", "Moin", "/?name=Ada", "Moin, Ada!\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("GREETING", tt.greeting)
			recorder := httptest.NewRecorder()
			New().Handle(recorder, httptest.NewRequest(http.MethodGet, tt.target, nil))
			if recorder.Code != http.StatusOK {
				t.Errorf("status %d, want %d", recorder.Code, http.StatusOK)
			}
			if got := recorder.Body.String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
