package function

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/kn-lite/kn-lite/internal/fault"
)

type document struct{ source []byte }

// Load reads and checks dir's func.yaml. A missing file is fault.NotFound, a
// broken one fault.Usage with the position of each mistake.
func Load(dir string) (*Function, error) {
	file := filepath.Join(dir, File)
	source, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "function.load", file, "there is no %s", File).
			WithHint("`kn-lite func create NAME -l LANG` makes a new function")
	}
	if err != nil {
		return nil, &fault.Error{Op: "function.load", Kind: fault.Failure, Subject: file, Err: err}
	}
	return Parse(dir, source)
}

// Parse is Load for content that is at hand.
func Parse(dir string, source []byte) (*Function, error) {
	f := &Function{Root: dir, doc: &document{source: source}}
	return f, yaml.Unmarshal(source, f)
}

// UnmarshalYAML reads a template or a literal.
func (v *EnvValue) UnmarshalYAML(n *yaml.Node) (err error) {
	*v, err = ParseEnvValue(n.Value)
	return err
}
