package fault

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestErrorText(t *testing.T) {
	cause := errors.New("401 Unauthorized")
	tests := []struct {
		name string
		err  *Error
		want string
	}{
		{"subject and cause", &Error{Subject: "reg.example/me/fn", Err: cause}, "reg.example/me/fn: 401 Unauthorized"},
		{"cause only", &Error{Err: cause}, "401 Unauthorized"},
		{"subject only", &Error{Subject: "service/hello", Kind: NotFound}, "service/hello: not-found"},
		{"nothing", &Error{Kind: Timeout}, "timeout"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestKindOf(t *testing.T) {
	inner := New(Auth, "registry.push", "reg.example", "denied")
	tests := []struct {
		name string
		err  error
		want Kind
	}{
		{"plain", errors.New("x"), Failure},
		{"wrapped by fmt", fmt.Errorf("push: %w", inner), Auth},
		{"outermost wins", &Error{Kind: Partial, Err: inner}, Partial},
		{"bare deadline", fmt.Errorf("waiting: %w", context.DeadlineExceeded), Timeout},
	}
	for _, tt := range tests {
		if got := KindOf(tt.err); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestHintOfFindsInnerHint(t *testing.T) {
	inner := New(Auth, "registry.push", "reg.example", "denied").WithHint("run %s", "login")
	outer := &Error{Op: "deploy", Kind: Failure, Err: fmt.Errorf("push: %w", inner)}
	if got := HintOf(outer); got != "run login" {
		t.Errorf("hint = %q", got)
	}
	if got := HintOf(errors.New("x")); got != "" {
		t.Errorf("hint of a plain error = %q", got)
	}
}

func TestNearest(t *testing.T) {
	languages := []string{"go", "node", "python", "rust"}
	tests := []struct{ name, want string }{
		{"nod", "node"},
		{"ndoe", "node"},
		{"pyton", "python"},
		{"og", "go"},
		{"cobol", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := Nearest(tt.name, languages); got != tt.want {
			t.Errorf("Nearest(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The name of each kind leads back to it, and no other does.
func TestKindNamed(t *testing.T) {
	for k := Failure; k <= Transient; k++ {
		if got, ok := KindNamed(k.String()); got != k || !ok {
			t.Errorf("%s: %v, %v", k, got, ok)
		}
	}
	for _, name := range []string{"", "kind(10)", "Usage"} {
		if got, ok := KindNamed(name); got != Failure || ok {
			t.Errorf("%q: %v, %v", name, got, ok)
		}
	}
}
