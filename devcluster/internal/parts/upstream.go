package parts

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// upstreamFolders maps a folder of the set's manifests to the module folder
// whose YAML it holds.
func upstreamFolders() map[string][2]string {
	return map[string][2]string{
		"serving":    {"knative.dev/serving", "config/core"},
		"networking": {"knative.dev/networking", "config"},
		"caching":    {"knative.dev/caching", "config"},
	}
}

// copyManifests copies Knative's YAML out of the module cache, so that a
// compiled set is complete without it.
func (c *compiler) copyManifests(ctx context.Context, dst string) error {
	for name, from := range upstreamFolders() {
		cmd := c.command(ctx, []string{"list", "-m", "-f", "{{.Dir}}", from[0]})
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", from[0], err, strings.TrimSpace(stderr.String()))
		}
		dir := strings.TrimSpace(string(out))
		if dir == "" {
			return fmt.Errorf("%s is not in the module cache", from[0])
		}
		if err := copyYAML(filepath.Join(dst, name), filepath.Join(dir, filepath.FromSlash(from[1]))); err != nil {
			return err
		}
	}
	return nil
}

func copyYAML(dst, src string) error {
	return filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, rel)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o644)
	})
}
