package script

import (
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kn-lite/kn-lite/internal/build/basetest"
)

// baseCommand writes a base image that has the programs which start images of the
// languages into the folder that is named, as an OCI layout.
func baseCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: base DIR")
	}
	ts.Check(writeBase(ts.MkAbs(args[0])))
}

func writeBase(dir string) error {
	programs, err := basetest.Layer("script")
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, programs)
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return err
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return path.AppendImage(image)
}
