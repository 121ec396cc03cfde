package dockerfile

import "github.com/moby/buildkit/frontend/dockerfile/parser"

// unknown tells of names that files were to belong to and that nobody has. Root has
// the files then, as with docker build, which does not say so. Where there is nothing,
// and so no /etc/passwd, docker build fails, too.
func (b *builder) unknown(names []string, nothing bool, where []parser.Range) error {
	for _, what := range names {
		if nothing {
			return b.at(where, "%s: there are no files yet that could say who that is", what).
				WithHint("name a number, such as --chown=65532:65532; with --link, the files below are not seen")
		}
		b.Report.Warn(b.subject(where) + ": " + what + ": root takes the place")
	}
	return nil
}

// isEmpty reports whether nothing has been put into the stage yet.
func (s *stage) isEmpty() bool { return s.base == nil && len(s.steps) == 0 }
