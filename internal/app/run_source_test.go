package app

import "testing"

func TestExpandReferences(t *testing.T) {
	values := map[string]string{"A": "1", "B": "$(A)"}
	for text, want := range map[string]string{
		"":              "",
		"$(A)":          "1",
		"x$(A)y$(B)z":   "x1y$(A)z", // what is put in is not looked at again
		"$(C) $$(A)":    "$(C) $(A)",
		"$A $ $( $(A":   "$A $ $( $(A",
		"100$ $$ $(A)$": "100$ $ 1$",
	} {
		if got := expandReferences(text, values); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
