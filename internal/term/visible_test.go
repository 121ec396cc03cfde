package term

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
)

// hostile is what names and messages of others may hold.
const hostile = "a\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\b\x00\x7f\u0085\u009b31m\u202egnp\u2066\u200b\ufeff\xff\n::warning file=x::owned\n  ::add-mask::x\n##vso[task.setvariable variable=a]b\n##[set-env name=a]b\n##teamcity[x]"

// checkHarmless fails when written text could move a cursor, hide itself or be a
// command of a CI system.
func checkHarmless(t *testing.T, what, written string) {
	t.Helper()
	for _, r := range written {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u200b' || r == '\ufeff' || r == unicode.ReplacementChar) {
			t.Errorf("%s: %q has %q", what, written, r)
			break
		}
	}
	for line := range strings.Lines(written) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "::") || strings.Contains(line, "##[") || strings.Contains(line, "##vso[") || strings.Contains(line, "##teamcity[") {
			t.Errorf("%s: %q is a command", what, line)
		}
	}
	if !strings.Contains(written, "owned") {
		t.Errorf("%s: %q says nothing", what, written)
	}
}

func TestNothingHostileIsWritten(t *testing.T) {
	ways := map[string]func(s *IO) error{
		"Answer":   func(s *IO) error { return s.Answer("%s", hostile) },
		"Answer 2": func(s *IO) error { return s.Answer("%s", "::warning::owned") },
		"Lines":    func(s *IO) error { return s.Lines(hostile) },
		"LogLine":  func(s *IO) error { return s.LogLine(hostile, hostile) },
		"Log":      func(s *IO) error { return s.LogLine("", "\x1b[1m::warning::owned") },
		"Step":     func(s *IO) error { s.Step("%s", hostile); return nil },
		"Note":     func(s *IO) error { s.Note("%s", hostile); return nil },
		"Warn":     func(s *IO) error { s.Warn("%s", hostile); return nil },
		"Debug":    func(s *IO) error { s.Verbosity = Verbose; s.Debug("%s", hostile); return nil },
		"Error":    func(s *IO) error { s.Error(hostile, hostile); return nil },
		"Raw":      func(s *IO) error { s.Raw(hostile); return nil },
		"Start":    func(s *IO) error { s.Progress().Start(hostile, 0).Update(hostile + "2"); return nil },
		"Done":     func(s *IO) error { s.Progress().Start("x", 0).Done(hostile); return nil },
		"Fail":     func(s *IO) error { s.Progress().Start(hostile, 0).Fail(); return nil },
		"table":    func(s *IO) error { t := NewTable("A", "B"); t.Row("::warning::owned", hostile); return s.Write(t) },
		"prompts": func(s *IO) error {
			s.inTTY, s.errTTY = true, true
			s.In = strings.NewReader("y\nx\n")
			_, err := s.Confirm(t.Context(), "%s", hostile)
			return err
		},
		"Ask":                 func(s *IO) error { s.In = strings.NewReader("y\n"); _, err := s.Ask(t.Context(), hostile); return err },
		"Exact on a terminal": func(s *IO) error { s.outTTY = true; return s.Exact(hostile) },
		"Copy to a terminal":  func(s *IO) error { s.outTTY = true; _, err := s.Copy(strings.NewReader(hostile)); return err },
	}
	for name, write := range ways {
		s, out, err := Test()
		if e := write(s); e != nil {
			t.Errorf("%s: %v", name, e)
		}
		checkHarmless(t, name, out.String()+err.String())
	}
}

func TestLiveLinesAreHarmless(t *testing.T) {
	s, _, err := Test()
	s.errTTY = true
	shown := s.Progress().Start(hostile, 0).(*task)
	checkHarmless(t, "live line", shown.line(">", 400)+"\n")
	shown.Drop()
	_ = err
}

func TestWhatProgramsReadIsExact(t *testing.T) {
	s, out, _ := Test()
	if err := s.Exact(hostile); err != nil || out.String() != hostile+"\n" {
		t.Errorf("Exact wrote %q, %v", out, err)
	}
	out.Reset()
	if n, err := s.Copy(strings.NewReader(hostile)); err != nil || n != int64(len(hostile)) || out.String() != hostile {
		t.Errorf("Copy wrote %q, %v", out, err)
	}
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                   "plain",
		"grüße 🎉 日本 👩\u200d🔬":     "grüße 🎉 日本 👩\u200d🔬",
		"a\tb\nc\r":               `a\tb\nc\r`,
		"\x1b[31m":                `\x1b[31m`,
		"\u202e\u009b":            `\u202e\u009b`,
		"\xff\xfe":                `\xff\xfe`,
		"real replacement \ufffd": "real replacement \ufffd",
	} {
		if got := Visible(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"a\r\n\tb\n":                       "a\n\tb\n",
		"::warning::x":                     `\::warning::x`,
		" ::set-output name=a::b":          ` \::set-output name=a::b`,
		"x\n::group::y":                    "x\n" + `\::group::y`,
		"::1 - - [GET /] 200":              "::1 - - [GET /] 200",
		"::ffff:10.0.0.1 - - [a] \"b::c\"": "::ffff:10.0.0.1 - - [a] \"b::c\"",
		"std::vector::size()":              "std::vector::size()",
		"## [title]":                       "## [title]",
		"a ##[error]b":                     `a #\#[error]b`,
	} {
		if got := VisibleLines(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestColoursOfOthers(t *testing.T) {
	const line = "\x1b[1;32mok\x1b[0m done\x1b[2K\x1b]0;x\x07"
	s, out, err := Test()
	if e := s.LogLine("", line); e != nil || out.String() != `ok done\x1b[2K\x1b]0;x\x07`+"\n" {
		t.Errorf("without a terminal: %q, %v", out, e)
	}
	s.outTTY, s.errTTY = true, true
	s.SetColor("auto")
	out.Reset()
	if e := s.LogLine("[v1] ", line); e != nil || out.String() != "[v1] \x1b[1;32mok\x1b[0m done"+`\x1b[2K\x1b]0;x\x07`+"\x1b[0m\n" {
		t.Errorf("on a terminal: %q, %v", out, e)
	}
	s.Raw("10%\r50%\r\x1b[32m100%\n")
	if got := err.String(); got != "10%\n50%\n\x1b[32m100%\x1b[0m\n" {
		t.Errorf("a tool's progress: %q", got)
	}
}

func FuzzVisible(f *testing.F) {
	for _, seed := range []string{"", "plain", hostile, "\x1b[31mred", "::a::b", "##[x]", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := Visible(text); strings.ContainsFunc(got, hidden) {
			t.Errorf("Visible(%q) = %q", text, got)
		}
		for _, colour := range []bool{false, true} {
			got := styled(text, colour)
			if colour {
				got = string(bytes.ReplaceAll([]byte(got), []byte("\x1b["), nil))
			}
			if strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && r != '\t' && hidden(r) }) {
				t.Errorf("styled(%q, %v) = %q", text, colour, got)
			}
			if bare := defuse(got); !colour && bare != got {
				t.Errorf("styled(%q) = %q has a command", text, got)
			}
		}
	})
}
