package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// inKoApp are the images whose tests call the program by the path that ko gives
// it, as a command or as a probe.
func inKoApp() []string { return []string{"runtime", "readiness"} }

// buildImages builds and pushes the test images with kn-lite and returns the
// digest reference of each by its name.
func buildImages(ctx context.Context, o options, images []tool) (map[string]string, error) {
	references := map[string]string{}
	for _, image := range images {
		dir, err := copyProgram(image, filepath.Join(o.sources, image.base()))
		if err != nil {
			return nil, err
		}
		name := o.repository(image.base())
		reference, err := o.build(ctx, dir, "--builder", "layers", "--image", name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(inKoApp(), image.base()) {
			if reference, err = o.moveToKoApp(ctx, image.base(), reference); err != nil {
				return nil, err
			}
		}
		references[image.base()] = reference
	}
	return references, nil
}

func (o options) repository(image string) string {
	return o.registry + "/conformance/" + image
}

// copyProgram copies a main package into a folder of its own, as a module with
// this one's requirements: kn-lite builds folders that it may write to.
func copyProgram(image tool, to string) (string, error) {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return "", err
	}
	sources, err := filepath.Glob(filepath.Join(image.dir, "*.go"))
	if err != nil {
		return "", err
	}
	if len(sources) == 0 {
		return "", fmt.Errorf("%s has no sources in %s", image.path, image.dir)
	}
	for _, file := range append(sources, "go.mod", "go.sum") {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(file)), text, 0o644); err != nil {
			return "", err
		}
	}
	return to, nil
}

// moveToKoApp builds the image once more with its program at /ko-app/NAME, too.
func (o options) moveToKoApp(ctx context.Context, name, reference string) (string, error) {
	dir := filepath.Join(o.sources, "ko-app", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	text := fmt.Sprintf("FROM %[1]s\nCOPY --from=%[1]s /app/function /ko-app/%[2]s\nENTRYPOINT [\"/ko-app/%[2]s\"]\n", reference, name)
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o644); err != nil {
		return "", err
	}
	return o.build(ctx, dir, "--builder", "dockerfile", "--image", o.repository(name))
}

func (o options) build(ctx context.Context, dir string, arguments ...string) (string, error) {
	cmd := exec.CommandContext(ctx, o.knLite, append([]string{"build", "--push", "-q"}, arguments...)...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	reference := strings.TrimSpace(string(out))
	fmt.Fprintln(os.Stderr, "built", reference)
	return reference, nil
}

// imageTemplate is the template by which the tests name images. An image that is
// not ours has a tag that does not exist: one of the tests wants that.
func imageTemplate(o options, references map[string]string) string {
	tagged := o.repository("{{.Name}}") + ":latest"
	if !o.digests {
		return tagged
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(references)) {
		fmt.Fprintf(&b, "{{if eq .Name %q}}%s{{else}}", name, references[name])
	}
	return b.String() + tagged + strings.Repeat("{{end}}", len(references))
}
