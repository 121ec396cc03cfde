package fault

import (
	"strings"
	"testing"
)

func TestCatch(t *testing.T) {
	cleaned := false
	run := func(numbers []int) (err error) {
		defer Catch(&err)
		func() {
			defer func() { cleaned = true }()
			_ = numbers[3]
		}()
		return nil
	}
	err := run(nil)
	if KindOf(err) != Failure || err.Error() != "kn-lite has a mistake: runtime error: index out of range [3] with length 0" || !cleaned {
		t.Errorf("err = %v, cleaned up %v", err, cleaned)
	}
	hint := HintOf(err)
	if !strings.Contains(hint, "report it at https://github.com/kn-lite/kn-lite/issues") || !strings.Contains(hint, "\ninternal/fault.TestCatch.func1") || !strings.Contains(hint, "panic_test.go:") {
		t.Errorf("hint = %s", hint)
	}
	if strings.Contains(hint, "Catch panic.go") || strings.Contains(hint, "runtime/") {
		t.Errorf("the hint shows how the panic was caught: %s", hint)
	}
	if err := run(make([]int, 4)); err != nil {
		t.Errorf("without a panic: %v", err)
	}
}
