package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/attest"
)

func TestDescribe(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8",
		Main:      debug.Module{Path: "github.com/kn-lite/kn-lite", Version: "v1.2.3"},
		Deps: []*debug.Module{
			{Path: "github.com/Example/Lib", Version: "v0.1.0"},
			{Path: "example.com/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/new", Version: "v1.0.1"}},
		},
		Settings: []debug.BuildSetting{{Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}},
	}
	sbom := describe("kn-lite", [32]byte{1}, info)
	if got := sbom.Created.UTC().Format(time.RFC3339); got != "2026-01-02T03:04:05Z" {
		t.Errorf("created %s, want the commit's time", got)
	}
	var names, purls []string
	for _, p := range append([]attest.Package{sbom.Subject}, attest.Sorted(sbom.Parts)...) {
		names = append(names, p.FullName()+" "+p.Version)
		purls = append(purls, p.PURL())
	}
	if got, want := strings.Join(names, ", "), "github.com/kn-lite/kn-lite v1.2.3, example.com/new v1.0.1, github.com/Example/Lib v0.1.0, stdlib 1.26.8"; got != want {
		t.Errorf("packages %s, want %s", got, want)
	}
	if got, want := purls[2], "pkg:golang/github.com/example/lib@v0.1.0"; got != want {
		t.Errorf("purl %s, want %s", got, want)
	}
}

// The test's own binary is a Go binary with build information in it.
func TestWrite(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sbom.json")
	if err := write(self, file); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		SPDXVersion   string
		Packages      []struct{ Checksums []attest.Checksum }
		Relationships []any
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.SPDXVersion != "SPDX-2.3" || len(doc.Packages) < 2 || len(doc.Packages[0].Checksums) != 1 || len(doc.Relationships) != len(doc.Packages) {
		t.Errorf("document: %s", raw)
	}
	if err := write(file, file); err == nil {
		t.Error("a file that is no Go binary must be refused")
	}
}
