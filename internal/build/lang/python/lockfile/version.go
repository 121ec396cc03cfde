package lockfile

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// version is a version as far as choosing a Python and comparing locked ones
// needs it (https://packaging.python.org/en/latest/specifications/version-specifiers/):
// local parts are ignored.
type version struct {
	epoch   int
	release []int
	stage   int // dev, alpha, beta, candidate, final, post
	number  int
}

func parseVersion(text string) (version, error) {
	pattern := regexp.MustCompile(`^v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(dev|alpha|a|beta|b|c|rc|pre|preview|post|rev|r)[-_.]?(\d*))?(?:\.?(?:dev|post)\d*)?(?:\+[\w.-]*)?$`)
	found := pattern.FindStringSubmatch(strings.ToLower(strings.TrimSpace(text)))
	if found == nil {
		return version{}, fmt.Errorf("%q is no version", text)
	}
	v := version{stage: 4}
	v.epoch, _ = strconv.Atoi(found[1])
	for part := range strings.SplitSeq(found[2], ".") {
		number, err := strconv.Atoi(part)
		if err != nil {
			return v, fmt.Errorf("%q is no version", text)
		}
		v.release = append(v.release, number)
	}
	stages := map[string]int{"dev": 0, "alpha": 1, "a": 1, "beta": 2, "b": 2, "c": 3, "rc": 3, "pre": 3, "preview": 3, "": 4, "post": 5, "rev": 5, "r": 5}
	v.stage = stages[found[3]]
	v.number, _ = strconv.Atoi(found[4])
	return v, nil
}

func (v version) part(i int) int {
	if i < len(v.release) {
		return v.release[i]
	}
	return 0
}

func (v version) compare(other version) int {
	if c := cmp.Compare(v.epoch, other.epoch); c != 0 {
		return c
	}
	for i := range max(len(v.release), len(other.release)) {
		if c := cmp.Compare(v.part(i), other.part(i)); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(v.stage, other.stage), cmp.Compare(v.number, other.number))
}

// startsWith reports whether the first parts of v are those of prefix.
func (v version) startsWith(prefix version) bool {
	for i, part := range prefix.release {
		if v.part(i) != part {
			return false
		}
	}
	return v.epoch == prefix.epoch
}

// Satisfies reports whether version is one of those that specifiers, such as
// ">=3.9,<4", allow.
func Satisfies(version, specifiers string) (bool, error) {
	v, err := parseVersion(version)
	if err != nil {
		return false, err
	}
	for specifier := range strings.SplitSeq(specifiers, ",") {
		specifier = strings.TrimSpace(specifier)
		if specifier == "" {
			continue
		}
		holds, err := v.satisfies(specifier)
		if err != nil || !holds {
			return false, err
		}
	}
	return true, nil
}

func (v version) satisfies(specifier string) (bool, error) {
	found := regexp.MustCompile(`^(===|==|~=|!=|<=|>=|<|>)\s*(.+?)(\.\*)?$`).FindStringSubmatch(specifier)
	if found == nil {
		return false, fmt.Errorf("%q is no version specifier", specifier)
	}
	want, err := parseVersion(found[2])
	if err != nil {
		return false, err
	}
	same := v.compare(want) == 0
	if found[3] != "" {
		same = v.startsWith(want)
	}
	switch found[1] {
	case "==", "===":
		return same, nil
	case "!=":
		return !same, nil
	case "<":
		return v.compare(want) < 0, nil
	case "<=":
		return v.compare(want) <= 0, nil
	case ">":
		return v.compare(want) > 0, nil
	case ">=":
		return v.compare(want) >= 0, nil
	}
	// ~=
	if len(want.release) < 2 {
		return false, fmt.Errorf("%q needs two numbers or more", specifier)
	}
	series := version{epoch: want.epoch, release: want.release[:len(want.release)-1]}
	return v.compare(want) >= 0 && v.startsWith(series), nil
}

// CompareVersions orders two versions; what is no version comes first.
func CompareVersions(a, b string) int {
	left, leftErr := parseVersion(a)
	right, rightErr := parseVersion(b)
	switch {
	case leftErr != nil && rightErr != nil:
		return strings.Compare(a, b)
	case leftErr != nil:
		return -1
	case rightErr != nil:
		return 1
	}
	return left.compare(right)
}
