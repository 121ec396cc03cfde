package fault

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// Panic is the Op of an error that was a panic: a mistake in kn-lite.
const Panic = "panic"

// Catch makes an error of a panic of the function that defers it. What its callers
// defer runs as after any other error, so that nothing half done stays.
func Catch(err *error) {
	if value := recover(); value != nil {
		*err = fromPanic(value, string(debug.Stack()))
	}
}

// Again panics with an error that was a panic in another goroutine, for those who
// wait for one and have no error to return.
func Again(err error) {
	if err != nil {
		panic(err)
	}
}

func fromPanic(value any, stack string) *Error {
	// One that comes from another goroutine says where it was.
	if err, ok := value.(*Error); ok && err.Op == Panic {
		return err
	}
	return New(Failure, Panic, "", "kn-lite has a mistake: %v", value).
		WithHint("it is not yours; please report it at https://github.com/kn-lite/kn-lite/issues with the command and these lines:\n%s", ownFrames(stack))
}

// maxFrames is enough to see where a panic comes from.
const maxFrames = 12

// ownFrames are the lines of a stack that say where in kn-lite it was, the innermost
// first: FUNCTION FILE:LINE.
func ownFrames(stack string) string {
	const module = "github.com/kn-lite/kn-lite/"
	var frames []string
	lines := strings.Split(stack, "\n")
	panicked := false
	for i := 0; i+1 < len(lines) && len(frames) < maxFrames; i++ {
		panicked = panicked || strings.HasPrefix(lines[i], "panic(")
		name, own := strings.CutPrefix(lines[i], module)
		if !own || !panicked {
			continue
		}
		if open := strings.LastIndexByte(name, '('); open > 0 {
			name = name[:open]
		}
		at, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
		frames = append(frames, fmt.Sprintf("%s %s", name, at[strings.LastIndexByte(at, '/')+1:]))
	}
	return strings.Join(frames, "\n")
}
