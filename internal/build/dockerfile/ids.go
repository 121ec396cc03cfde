package dockerfile

import (
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// checkIDs refuses numbers of users and groups that the sandbox will not have.
// owner is USER[:GROUP]; names and variables are looked up later. Where the file is
// only read, for a build elsewhere, nothing is known of that sandbox.
func (b *builder) checkIDs(where []parser.Range, what, owner string) error {
	for part := range strings.SplitSeq(owner, ":") {
		id, err := strconv.ParseInt(part, 10, 64)
		if err == nil && b.highestID > 0 && id > b.highestID {
			return b.at(where, "%s%s: id %d: the highest in this sandbox is %d", what, owner, id, b.highestID).
				WithHint("root has ids up to 2147483646; other users as many as /etc/subuid and /etc/subgid give them")
		}
	}
	return nil
}
