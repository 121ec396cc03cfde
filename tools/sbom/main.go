// Command sbom writes what a Go binary was built from as SPDX 2.3 JSON. It
// reads the binary's own build information, so that the document describes the
// artifact and not the folder it may have come from.
//
//	sbom BINARY DOCUMENT
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build/inventory"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: sbom BINARY DOCUMENT")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func write(binary, file string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	text, err := describe(filepath.Base(binary), sha256.Sum256(raw), info).JSON()
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// describe is a pure function of the binary: the commit's time is the time of
// creation and the binary's digest makes the namespace unique.
func describe(name string, sum [32]byte, info *debug.BuildInfo) *attest.SBOM {
	digest := hex.EncodeToString(sum[:])
	binary := attest.GoModule(info.Main.Path, info.Main.Version)
	binary.License, binary.Checksums = "Apache-2.0", []attest.Checksum{{Algorithm: "SHA256", Value: digest}}
	return &attest.SBOM{
		Name: name, Namespace: "https://kn-lite.dev/spdx/" + name + "-" + digest,
		Created: created(info), Tool: "kn-lite-sbom", Subject: binary, Relation: "DEPENDS_ON",
		Parts: inventory.GoModules(info)[1:], // the first is the binary itself
	}
}

// created is the commit's time, or the epoch for a build outside of a repository.
func created(info *debug.BuildInfo) time.Time {
	for _, s := range info.Settings {
		if s.Key != "vcs.time" {
			continue
		}
		if at, err := time.Parse(time.RFC3339, s.Value); err == nil {
			return at
		}
	}
	return time.Unix(0, 0)
}
