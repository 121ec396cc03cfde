package registry

import "strings"

// challenge is one WWW-Authenticate offer (RFC 9110 11.6.1).
type challenge struct {
	scheme string // lower case: bearer, basic
	params map[string]string
}

// pickChallenge takes the offer that we can answer best: bearer, then basic.
func pickChallenge(headers []string) *challenge {
	var best *challenge
	for _, header := range headers {
		for _, ch := range parseChallenges(header) {
			switch {
			case ch.scheme == "bearer" && (best == nil || best.scheme != "bearer"):
				best = &ch
			case ch.scheme == "basic" && best == nil:
				best = &ch
			}
		}
	}
	return best
}

// parseChallenges reads a header with one or several offers. What it does not
// understand it skips: the server then gets the request without an answer.
func parseChallenges(header string) []challenge {
	var out []challenge
	p := tokenizer{header}
	for p.rest != "" {
		p.skip(" \t,")
		word := p.token()
		if word == "" {
			if p.rest == "" {
				break
			}
			p.rest = p.rest[1:]
			continue
		}
		before := p.rest
		p.skip(" \t")
		if !strings.HasPrefix(p.rest, "=") || len(out) == 0 {
			p.rest = before
			out = append(out, challenge{strings.ToLower(word), map[string]string{}})
			continue
		}
		p.rest = p.rest[1:]
		p.skip(" \t")
		out[len(out)-1].params[strings.ToLower(word)] = p.value()
	}
	return out
}

type tokenizer struct{ rest string }

func (t *tokenizer) skip(chars string) { t.rest = strings.TrimLeft(t.rest, chars) }

func (t *tokenizer) token() string {
	end := strings.IndexAny(t.rest, " \t,=\"")
	if end < 0 {
		end = len(t.rest)
	}
	word := t.rest[:end]
	t.rest = t.rest[end:]
	return word
}

// value is a token or a quoted string with backslash escapes.
func (t *tokenizer) value() string {
	if !strings.HasPrefix(t.rest, `"`) {
		return t.token()
	}
	var out strings.Builder
	for i := 1; i < len(t.rest); i++ {
		switch c := t.rest[i]; {
		case c == '\\' && i+1 < len(t.rest):
			i++
			out.WriteByte(t.rest[i])
		case c == '"':
			t.rest = t.rest[i+1:]
			return out.String()
		default:
			out.WriteByte(c)
		}
	}
	t.rest = ""
	return out.String()
}
