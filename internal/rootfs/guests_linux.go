package rootfs

import (
	"encoding/json"
	"io"

	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// Guests are this package's functions for sandbox.Inside.
func Guests() map[string]sandbox.Guest {
	return map[string]sandbox.Guest{
		GuestUnpack:  guest(func(a UnpackArgs, in io.Reader, _ io.Writer) (any, error) { return unpack(a, in) }),
		GuestPut:     guest(func(a PutArgs, in io.Reader, _ io.Writer) (any, error) { return put(a, in) }),
		GuestMatch:   guest(func(a MatchArgs, _ io.Reader, _ io.Writer) (any, error) { return match(a) }),
		GuestTake:    guest(func(a TakeArgs, _ io.Reader, out io.Writer) (any, error) { return nil, take(a, out) }),
		GuestPrepare: guest(func(a PrepareArgs, _ io.Reader, _ io.Writer) (any, error) { return prepare(a) }),
		GuestScan: guest(func(a ScanArgs, _ io.Reader, _ io.Writer) (any, error) {
			state, _, err := scan(a.SingleUser, a.Epoch, nil)
			return state, err
		}),
		GuestChanges: guest(func(a ChangesArgs, _ io.Reader, out io.Writer) (any, error) { return changes(a, out) }),
		GuestDiff:    guest(func(a DiffArgs, in io.Reader, out io.Writer) (any, error) { return diff(a, in, out) }),
	}
}

func guest[A any](run func(A, io.Reader, io.Writer) (any, error)) sandbox.Guest {
	return func(raw json.RawMessage, in io.Reader, out io.Writer) (any, error) {
		var args A
		if err := json.Unmarshal(raw, &args); err != nil {
			return nil, err
		}
		return run(args, in, out)
	}
}
