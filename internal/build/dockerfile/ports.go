package dockerfile

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// ports expands the variables and ranges of EXPOSE: 8000-8002/udp is three ports.
func (b *builder) ports(s *stage, words []string, where []parser.Range) ([]string, error) {
	var out []string
	lex := shell.NewLex(b.plan.escape)
	for _, word := range words {
		texts, err := lex.ProcessWords(word, variables(s.env()))
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			p, err := parsePorts(text)
			if err != nil {
				return nil, fmt.Errorf("%q is no port: %w", text, err)
			}
			b.plan.lint.port(text, p, where)
			for n := p.first; n <= p.last; n++ {
				out = append(out, strconv.Itoa(n)+"/"+strings.ToLower(p.protocol))
			}
		}
	}
	return out, nil
}

// portRange is what one word of EXPOSE means.
type portRange struct {
	first, last int
	protocol    string
	mapped      bool // an address or a port of the host stands before it
}

// parsePorts reads [[ADDRESS:]HOSTPORT:]PORT[-LAST][/PROTOCOL]. What is before the port
// is for `docker run -p` and has no effect here.
func parsePorts(text string) (p portRange, err error) {
	host, port := "", text
	if at := strings.LastIndex(text, ":"); at >= 0 {
		host, port, p.mapped = text[:at], text[at+1:], text[:at] != ""
	}
	var numbers string
	numbers, p.protocol, _ = strings.Cut(port, "/")
	switch strings.ToLower(p.protocol) {
	case "":
		p.protocol = "tcp"
	case "tcp", "udp", "sctp":
	default:
		return p, fmt.Errorf("the protocol is %s, and there are tcp, udp and sctp", p.protocol)
	}
	if p.first, p.last, err = parseRange(numbers); err != nil {
		return p, err
	}
	return p, checkHost(host, p)
}

// checkHost checks the address and the ports before the container's.
func checkHost(host string, p portRange) error {
	address, ports := "", host
	if at := strings.LastIndex(host, ":"); at >= 0 {
		address, ports = host[:at], host[at+1:]
	}
	if address = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]"); address != "" && net.ParseIP(address) == nil {
		return fmt.Errorf("%s is no IP address", address)
	}
	if ports == "" {
		return nil
	}
	first, last, err := parseRange(ports)
	if err == nil && p.first != p.last && last-first != p.last-p.first {
		err = fmt.Errorf("%s are not as many ports as follow", ports)
	}
	return err
}

func parseRange(text string) (first, last int, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	for _, end := range []struct {
		text string
		at   *int
	}{{from, &first}, {to, &last}} {
		n, err := strconv.ParseInt(end.text, 10, 32)
		if err != nil || n < 0 || n > 65535 {
			return 0, 0, fmt.Errorf("%q is not a number from 0 to 65535", end.text)
		}
		*end.at = int(n)
	}
	if first > last {
		return 0, 0, fmt.Errorf("%s ends before it begins", text)
	}
	return first, last, nil
}

// port warns of what EXPOSE takes and does not mean. The rules are newer than the
// parser.
func (l *lint) port(text string, p portRange, where []parser.Range) {
	if p.protocol != strings.ToLower(p.protocol) {
		l.Run(&linter.LinterRule[string]{Name: "ExposeProtoCasing"}, where, fmt.Sprintf("Defined protocol '%s' in EXPOSE instruction should be lowercase", text))
	}
	if p.mapped {
		l.Run(&linter.LinterRule[string]{Name: "ExposeInvalidFormat"}, where,
			fmt.Sprintf("EXPOSE instruction should not define an IP address or host-port mapping, found '%s'", text))
	}
}
