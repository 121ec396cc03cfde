package dockerfile

import (
	"slices"
	"strconv"
	"strings"
)

// isSignal reports whether Linux has a signal of that name or number.
func isSignal(text string) bool {
	if n, err := strconv.Atoi(text); err == nil {
		return n > 0
	}
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	for _, realtime := range []string{"RTMIN+", "RTMAX-"} {
		if offset, ok := strings.CutPrefix(name, realtime); ok {
			n, err := strconv.Atoi(offset)
			return err == nil && n > 0 && n < 16
		}
	}
	return slices.Contains(strings.Fields("ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT RTMAX RTMIN SEGV STKFLT STOP "+
		"SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ"), name)
}
