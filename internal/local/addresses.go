package local

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/kn-lite/kn-lite/internal/build/sealed"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// addressesKept is how many addresses are remembered.
const addressesKept = 64

// noteAddress remembers where the platform's registry is, and returns where it was
// before. Revisions name their images by the address at the time of their deploy.
func (p Place) noteAddress(now string) (former []string, err error) {
	file := p.file("addresses.json")
	raw, err := regular.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, &former)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, fault.New(fault.Failure, "local.open", file, "%w", err).WithHint("it is safe to remove it: images that were deployed at another port may be asked for there then")
	}
	former = slices.DeleteFunc(former, func(address string) bool { return address == now })
	former = former[max(0, len(former)-addressesKept):]
	raw, err = json.Marshal(append(slices.Clone(former), now))
	if err == nil {
		err = sealed.WriteFile(file, raw)
	}
	if err != nil {
		return nil, fault.New(fault.Failure, "local.open", file, "%w", err)
	}
	return former, nil
}

// Mirrors adds to the mirrors of registries that what was pushed to the platform at
// an earlier address is at this one.
func (i *Info) Mirrors(of map[string][]string) map[string][]string {
	return movedTo(i.Registry(), i.Former, of)
}

func movedTo(now string, former []string, mirrors map[string][]string) map[string][]string {
	out := maps.Clone(mirrors)
	if out == nil {
		out = map[string][]string{}
	}
	for _, address := range former {
		out[address] = append([]string{now}, out[address]...)
	}
	return out
}
