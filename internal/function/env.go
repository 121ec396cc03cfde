package function

import (
	"errors"
	"fmt"
	"strings"
)

// Origin says where the value of an environment variable comes from.
type Origin int

// The origins that func.yaml can name.
const (
	Literal        Origin = iota // the text itself
	LocalEnv                     // {{ env:NAME }}: the environment of the deploying machine
	SecretKey                    // {{ secret:NAME:KEY }}
	ConfigMapKey                 // {{ configMap:NAME:KEY }}
	AllOfSecret                  // {{ secret:NAME }}: every key, on an entry with no name
	AllOfConfigMap               // {{ configMap:NAME }}
)

// EnvValue is the value of an environment variable or a label.
type EnvValue struct {
	Origin Origin
	Text   string // Literal: the value
	Name   string // the variable, secret or config map
	Key    string // SecretKey and ConfigMapKey
}

// ParseEnvValue reads a value as func does: text that begins with "{{" is a
// template and has to be a good one; everything else stands for itself.
func ParseEnvValue(text string) (EnvValue, error) {
	if !strings.HasPrefix(text, "{{") {
		return EnvValue{Text: text}, nil
	}
	body, closed := strings.CutSuffix(text[2:], "}}")
	if !closed {
		return EnvValue{}, fmt.Errorf("template %q is not closed with }}", text)
	}
	parts := strings.Split(body, ":")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	var v EnvValue
	switch {
	case parts[0] == "env" && len(parts) == 2:
		v = EnvValue{Origin: LocalEnv, Name: parts[1]}
	case parts[0] == "secret" && len(parts) == 2:
		v = EnvValue{Origin: AllOfSecret, Name: parts[1]}
	case parts[0] == "secret" && len(parts) == 3:
		v = EnvValue{Origin: SecretKey, Name: parts[1], Key: parts[2]}
	case parts[0] == "configMap" && len(parts) == 2:
		v = EnvValue{Origin: AllOfConfigMap, Name: parts[1]}
	case parts[0] == "configMap" && len(parts) == 3:
		v = EnvValue{Origin: ConfigMapKey, Name: parts[1], Key: parts[2]}
	default:
		return EnvValue{}, fmt.Errorf("template %q is not one of {{ env:NAME }}, {{ secret:NAME:KEY }}, {{ secret:NAME }}, {{ configMap:NAME:KEY }}, {{ configMap:NAME }}", text)
	}
	return v, v.check()
}

func (v EnvValue) check() error {
	switch v.Origin {
	case Literal:
		return nil
	case LocalEnv:
		if !isEnvName(v.Name) {
			return fmt.Errorf("%q is not the name of an environment variable", v.Name)
		}
		return nil
	}
	if !isDNSSubdomain(v.Name) {
		return fmt.Errorf("%q is not the name of a secret or config map: use lower-case letters, digits, '-' and '.'", v.Name)
	}
	if (v.Origin == SecretKey || v.Origin == ConfigMapKey) && !isDataKey(v.Key) {
		return fmt.Errorf("%q is not a key of a secret or config map: use letters, digits, '-', '_' and '.'", v.Key)
	}
	return nil
}

// String is the value as func.yaml writes it; ParseEnvValue reads it back.
func (v EnvValue) String() string {
	switch v.Origin {
	case LocalEnv:
		return "{{ env:" + v.Name + " }}"
	case SecretKey:
		return "{{ secret:" + v.Name + ":" + v.Key + " }}"
	case ConfigMapKey:
		return "{{ configMap:" + v.Name + ":" + v.Key + " }}"
	case AllOfSecret:
		return "{{ secret:" + v.Name + " }}"
	case AllOfConfigMap:
		return "{{ configMap:" + v.Name + " }}"
	}
	return v.Text
}

// ErrUnsetVariable is the cause when a {{ env:NAME }} names a variable that the
// local environment does not have.
var ErrUnsetVariable = errors.New("environment variable is not set")

// Local replaces a {{ env:NAME }} by its value on this machine; every other
// value comes back as it is. lookup is shaped like os.LookupEnv.
func (v EnvValue) Local(lookup func(string) (string, bool)) (EnvValue, error) {
	if v.Origin != LocalEnv {
		return v, nil
	}
	text, set := lookup(v.Name)
	if !set {
		return v, fmt.Errorf("%s: %w", v.Name, ErrUnsetVariable)
	}
	return EnvValue{Text: text}, nil
}
