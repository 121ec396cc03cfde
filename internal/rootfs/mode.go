package rootfs

import (
	"fmt"
	"strconv"
	"strings"
)

// Mode is what --chmod does to a mode: 755 or, as for chmod(1), u=rwX,go=rX.
type Mode struct {
	octal   bool
	bits    uint32
	changes []modeChange
}

// modeChange is one of the operations in a symbolic mode, such as go=rX.
type modeChange struct {
	who         uint32 // bits that it may change; 0 is all of them
	operator    byte
	permissions string
}

const permissionLetters = "rwxXstugo"

// ParseMode reads an octal or a symbolic mode.
func ParseMode(text string) (*Mode, error) {
	if bits, err := strconv.ParseUint(text, 8, 32); err == nil {
		if bits > 0o7777 {
			return nil, fmt.Errorf("the highest mode is 7777")
		}
		return &Mode{octal: true, bits: uint32(bits)}, nil
	}
	m := &Mode{}
	for clause := range strings.SplitSeq(text, ",") {
		rest := strings.TrimLeft(clause, "ugoa")
		who := whose(clause[:len(clause)-len(rest)])
		if rest == "" {
			return nil, badMode(text)
		}
		for rest != "" {
			if !strings.ContainsRune("+-=", rune(rest[0])) {
				return nil, badMode(text)
			}
			after := strings.TrimLeft(rest[1:], permissionLetters)
			m.changes = append(m.changes, modeChange{who: who, operator: rest[0], permissions: rest[1 : len(rest)-len(after)]})
			rest = after
		}
	}
	return m, nil
}

func badMode(text string) error {
	return fmt.Errorf("%q is no mode, such as 755 or u=rwX,go=rX", text)
}

// whose are the bits of user, group, others or all.
func whose(letters string) (bits uint32) {
	for _, l := range letters {
		bits |= map[rune]uint32{'u': 0o4700, 'g': 0o2070, 'o': 0o007, 'a': 0o6777}[l]
	}
	return bits
}

// Of returns the mode of a file that had another one.
func (m *Mode) Of(old uint32, dir bool) uint32 {
	if m.octal {
		return m.bits
	}
	for _, c := range m.changes {
		who := c.who
		if who == 0 {
			who = 0o7777
		}
		var bits uint32
		for _, l := range c.permissions {
			if l == 't' && c.who != 0o007 {
				who |= 0o1000
			}
			bits |= permission(l, old, dir)
		}
		bits &= who
		switch c.operator {
		case '+':
			old |= bits
		case '-':
			old &^= bits
		default:
			old = old&^who | bits
		}
	}
	return old
}

// permission is what a letter stands for, for user, group and others at once.
func permission(letter rune, old uint32, dir bool) uint32 {
	switch letter {
	case 'r':
		return 0o444
	case 'w':
		return 0o222
	case 'x':
		return 0o111
	case 'X':
		if dir || old&0o111 != 0 {
			return 0o111
		}
		return 0
	case 's':
		return 0o6000
	case 't':
		return 0o1000
	case 'u':
		return old >> 6 & 7 * 0o111
	case 'g':
		return old >> 3 & 7 * 0o111
	default: // o
		return old & 7 * 0o111
	}
}
