package lockfile

import (
	"fmt"
	"regexp"
	"strings"
)

// Environment holds the values of the variables in environment markers, such as
// python_version (https://packaging.python.org/en/latest/specifications/dependency-specifiers/#environment-markers).
type Environment struct {
	Values map[string]string
	// Extras are those for which a marker with `extra == "…"` holds.
	Extras []string
	// Groups are the dependency groups that a pylock.toml installs by default.
	Groups []string
}

// Matches reports whether marker holds in e. The empty marker always does.
func (e Environment) Matches(marker string) (bool, error) {
	if strings.TrimSpace(marker) == "" {
		return true, nil
	}
	p := markerParser{environment: e, tokens: markerToken().FindAllString(marker, -1)}
	if strings.Join(strings.Fields(marker), "") != strings.Join(strings.Fields(strings.Join(p.tokens, "")), "") {
		return false, fmt.Errorf("the environment marker %q cannot be read", marker)
	}
	value, err := p.or()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("%q is left over", strings.Join(p.tokens, " "))
	}
	if err != nil {
		return false, fmt.Errorf("the environment marker %q cannot be read: %w", marker, err)
	}
	return value, nil
}

func markerToken() *regexp.Regexp {
	return regexp.MustCompile(`"[^"]*"|'[^']*'|[()]|===|==|~=|!=|<=|>=|<|>|[A-Za-z_][A-Za-z0-9_.]*`)
}

// markerParser evaluates while it reads: markers have no side effects.
type markerParser struct {
	environment Environment
	tokens      []string
}

func (p *markerParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return token
}

func (p *markerParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *markerParser) or() (bool, error) {
	value, err := p.and()
	for err == nil && p.peek() == "or" {
		p.next()
		var more bool
		more, err = p.and()
		value = value || more
	}
	return value, err
}

func (p *markerParser) and() (bool, error) {
	value, err := p.comparison()
	for err == nil && p.peek() == "and" {
		p.next()
		var more bool
		more, err = p.comparison()
		value = value && more
	}
	return value, err
}

func (p *markerParser) comparison() (bool, error) {
	if p.peek() == "(" {
		p.next()
		value, err := p.or()
		if err == nil && p.next() != ")" {
			err = fmt.Errorf("a parenthesis is not closed")
		}
		return value, err
	}
	left, leftName, err := p.operand()
	if err != nil {
		return false, err
	}
	operator := p.next()
	if operator == "not" && p.peek() == "in" {
		p.next()
		operator = "not in"
	}
	right, rightName, err := p.operand()
	if err != nil {
		return false, err
	}
	if set, is := p.environment.set(leftName, rightName); is {
		return compareSet(set, operator, left+right)
	}
	return compareValues(left, operator, right)
}

// operand returns a value, and the variable's name when it is one. The variables
// that hold a set have an empty value.
func (p *markerParser) operand() (value, name string, err error) {
	token := p.next()
	if len(token) > 1 && (token[0] == '"' || token[0] == '\'') {
		return token[1 : len(token)-1], "", nil
	}
	switch token {
	case "extra", "extras", "dependency_groups":
		return "", token, nil
	}
	// What setuptools called them once.
	token = strings.NewReplacer("os.name", "os_name", "sys.platform", "sys_platform", "platform.machine", "platform_machine",
		"platform.version", "platform_version", "platform.python_implementation", "platform_python_implementation").Replace(token)
	if token == "python_implementation" {
		token = "platform_python_implementation"
	}
	value, known := p.environment.Values[token]
	if !known {
		return "", "", fmt.Errorf("%q is no variable of markers", token)
	}
	return value, token, nil
}

func (e Environment) set(names ...string) (set []string, is bool) {
	for _, name := range names {
		switch name {
		case "extra", "extras":
			return e.Extras, true
		case "dependency_groups":
			return e.Groups, true
		}
	}
	return nil, false
}

func compareSet(set []string, operator, value string) (bool, error) {
	has := false
	for _, member := range set {
		has = has || Normalise(member) == Normalise(value)
	}
	switch operator {
	case "==", "===", "in":
		return has, nil
	case "!=", "not in":
		return !has, nil
	}
	return false, fmt.Errorf("extras cannot be compared with %s", operator)
}

// compareValues compares versions when both sides are some, and text otherwise.
func compareValues(left, operator, right string) (bool, error) {
	switch operator {
	case "in":
		return strings.Contains(right, left), nil
	case "not in":
		return !strings.Contains(right, left), nil
	case "===":
		return left == right, nil
	}
	if holds, err := Satisfies(left, operator+right); err == nil {
		return holds, nil
	}
	switch operator {
	case "==":
		return left == right, nil
	case "!=":
		return left != right, nil
	case "<":
		return left < right, nil
	case "<=":
		return left <= right, nil
	case ">":
		return left > right, nil
	case ">=":
		return left >= right, nil
	}
	return false, fmt.Errorf("%q is no operator", operator)
}

// Normalise returns the one spelling of a package's name
// (https://packaging.python.org/en/latest/specifications/name-normalization/).
func Normalise(name string) string {
	return strings.ToLower(regexp.MustCompile(`[-_.]+`).ReplaceAllString(name, "-"))
}
