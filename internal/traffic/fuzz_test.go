package traffic

import (
	"strings"
	"testing"
)

// model says what a split means, as a person would work it out: shares by target, or
// ok false for what is none.
func model(text string) (shares map[string]int, ok bool) {
	shares = map[string]int{}
	rest, left := "", 100
	for _, arg := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' }) {
		target, share, given := strings.Cut(arg, "=")
		if _, twice := shares[target]; twice || target == "" {
			return nil, false
		}
		if !given {
			if rest != "" {
				return nil, false
			}
			rest, shares[target] = target, 0
			continue
		}
		share = strings.TrimSuffix(share, "%")
		n := 0
		for _, digit := range share {
			if digit < '0' || digit > '9' || n > 100 {
				return nil, false
			}
			n = 10*n + int(digit-'0')
		}
		if share == "" || n > 100 {
			return nil, false
		}
		shares[target] = n
		left -= n
	}
	if rest != "" {
		shares[rest] = left
		left = min(left, 0)
	}
	return shares, left == 0 && len(shares) > 0
}

// FuzzSplit: what Parse and Apply make of an expression is what the model says.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{
		"v1=50 v2=50", "v1 v2=30", "v1=100", "v1", "v1=33%,v2=33%,v3", "v1=0 v2=100", "v1=50 v1=50", "v1=101", "v1=-1 v2", "v1=007 v2", "v1=1e1 v2", "v1=50 v2=49", "v1==50 v2", "v1=50 v2=30 v3=20", "v1 v2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		// The model knows these characters; FuzzParse has all others.
		if strings.Trim(text, "v0123456789=%, -+.e") != "" || text != strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' }), " ") {
			return
		}
		want, ok := model(text)
		edit, err := Parse(strings.Fields(text))
		if (err == nil) != ok {
			t.Fatalf("Parse(%q): %v, %v; the model says %v, %v", text, edit, err, want, ok)
		}
		if !ok {
			return
		}
		current := Split{{Latest: true, Percent: 100}, {Revision: "fn-kept", Tag: "kept"}}
		var resolved []Resolved
		for _, share := range edit {
			if share.Percent != want[share.Ref] {
				t.Fatalf("Parse(%q) gives %s %d, the model %d", text, share.Ref, share.Percent, want[share.Ref])
			}
			resolved = append(resolved, Resolved{Share: share, Target: Target{Revision: "fn-" + share.Ref}})
		}
		next, err := Apply(current, resolved)
		if err != nil {
			t.Fatalf("Apply(%q): %v", text, err)
		}
		sum, kept := 0, false
		for _, target := range next {
			sum += target.Percent
			kept = kept || target.Tag == "kept" && target.Revision == "fn-kept"
			if n, named := want[strings.TrimPrefix(target.Revision, "fn-")]; named && target.Percent != n {
				t.Errorf("Apply(%q) gives %s %d, the model %d", text, target.Revision, target.Percent, n)
			}
		}
		if sum != 100 || !kept {
			t.Errorf("Apply(%q) is %s: it sums to %d, the tag is there: %v", text, next, sum, kept)
		}
	})
}
