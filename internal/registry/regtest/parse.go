package regtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ParseFault reads a fault as scripts write it: ACTION on REQUEST [always], e.g.
// "503 on PUT tag", "reset on PATCH upload always" or "404 on *". An action is
// a status, html-STATUS, or one of the names that its error lists.
func ParseFault(text string) (Fault, error) {
	name, on, found := strings.Cut(strings.TrimSpace(text), " on ")
	if !found {
		return Fault{}, fmt.Errorf("%q: want ACTION on REQUEST [always]", text)
	}
	f := Fault{}
	if rest, always := strings.CutSuffix(on, " always"); always {
		on, f.Times = rest, -1
	}
	f.On = Request(on)
	if !slices.Contains(Requests(), f.On) {
		return Fault{}, fmt.Errorf("%q: no such request, there are %q", on, Requests())
	}
	var err error
	f.Do, err = parseAction(name)
	return f, err
}

func parseAction(name string) (Action, error) {
	if code, err := strconv.Atoi(name); err == nil && code >= 400 && code <= 599 {
		return Status(code), nil
	}
	if text, ok := strings.CutPrefix(name, "html-"); ok {
		if code, err := strconv.Atoi(text); err == nil && code >= 200 && code <= 599 {
			return HTML(code), nil
		}
	}
	if location, ok := strings.CutPrefix(name, "redirect-"); ok {
		return Redirect(location), nil
	}
	plain := map[string]Action{
		"reset": Reset(), "stall": Stall(), "drop-reply": DropReply(), "wrong-digest": WrongDigest(),
		"flip-request": FlipRequest(), "flip-reply": FlipReply(), "malformed-json": MalformedJSON(),
		"truncate": Truncate(1), "expire-tokens": ExpireTokens(), "reset-after-reading": ResetAfterReading(1000),
	}
	if do, ok := plain[name]; ok {
		return do, nil
	}
	names := []string{"STATUS", "html-STATUS", "redirect-URL"}
	for n := range plain {
		names = append(names, n)
	}
	slices.Sort(names)
	return Action{}, fmt.Errorf("%q: no such action, there are %s", name, strings.Join(names, ", "))
}
