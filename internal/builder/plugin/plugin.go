// Package plugin lets programs be builders: kn-lite-builder-NAME on PATH is the
// builder NAME. It is given a request on its standard input and an empty folder, it
// reports its progress on its standard error, and it leaves an OCI layout in the
// folder. The contract is docs/guide/builders.md.
//
// A plugin is a program that the user has installed, and may do what he may. It is not
// believed, though: what it leaves is checked to the last byte, and one that hangs,
// floods its folder, leaves processes behind or writes into the project is an error
// that names it.
package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// Builder is a plugin as a builder.
type Builder struct {
	host   *builder.Host
	found  Found
	limits Limits
}

var _ builder.Builder = (*Builder)(nil)

// New returns the builder that a plugin is.
func New(host *builder.Host, found Found, limits Limits) *Builder {
	return &Builder{host: host, found: found, limits: limits.withDefaults()}
}

// Name implements builder.Builder.
func (b *Builder) Name() string { return b.found.Name }

// Check implements builder.Builder. What a plugin can do of the rest it says itself.
func (b *Builder) Check(r builder.Request) error {
	if err := r.RefusePod(); err != nil {
		return err
	}
	refuse := func(field, why string) error {
		return fault.New(fault.Usage, builder.OptionOp, field, "%s", why)
	}
	switch {
	case len(r.Dockerfile.Secrets) > 0:
		return refuse("Dockerfile.Secrets", "plugins get no secrets")
	case r.Dockerfile.Offline:
		return refuse("Dockerfile.Offline", "it is not known what network a plugin uses")
	case r.Dockerfile.Repository != "":
		return refuse("Dockerfile.Repository", "plugins have a folder for what the next build can use, and no repository")
	}
	return nil
}

// Build implements builder.Builder.
func (b *Builder) Build(ctx context.Context, r builder.Request) (*builder.Result, error) {
	started := b.host.Now()
	spec, err := b.host.Spec(r)
	if err != nil {
		return nil, err
	}
	w, err := openWork(r.CacheDir, b.found.Name, b.host.Now())
	if err != nil {
		return nil, &fault.Error{Op: "builder.plugin", Subject: r.CacheDir, Err: err}
	}
	made, err := b.build(ctx, r, w, nil)
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	made.Language = "plugin"
	if r.Project != nil && r.Project.Runtime != "" {
		made.Language = r.Project.Runtime
	}
	result := b.host.NewResult(b.found.Name, spec, made)
	result.Release = w.close
	r.Reporter().Step(fmt.Sprintf("built %s (%s)", made.Digest, b.host.Since(started)))
	return result, nil
}

// build runs the plugin and checks what it has done. edit, if any, changes the request.
func (b *Builder) build(ctx context.Context, r builder.Request, w *work, edit func(*message)) (*build.Result, error) {
	input, err := b.message(r, w)
	if err != nil {
		return nil, err
	}
	if edit != nil {
		edit(input)
	}
	before, err := snapshotOf(input.Source)
	if err != nil {
		return nil, &fault.Error{Op: "builder.plugin", Subject: r.Dir, Err: err}
	}
	c := &call{found: b.found, limits: b.limits, work: w, report: r.Reporter(), env: environment(r.Environ, input)}
	e, err := c.run(ctx, input)
	if err != nil {
		return nil, fault.New(fault.Failure, "builder.plugin", b.found.File, "it cannot be started: %w", err).
			WithHint("a script needs a first line that names its interpreter: #!/bin/sh")
	}
	err = c.failure(ctx, e)
	e.events.Close(err == nil)
	if err != nil {
		return nil, err
	}
	platforms := make([]v1.Platform, 0, len(input.Platforms))
	for _, p := range input.Platforms {
		platform, err := v1.ParsePlatform(p)
		if err != nil {
			return nil, err
		}
		platforms = append(platforms, *platform)
	}
	made, err := b.inspect(ctx, e, w, platforms, before, input.Source)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &fault.Error{
			Op: "builder.plugin", Kind: fault.Build, Subject: filepath.Base(b.found.File), Err: err,
			Hint: "the plugin is at fault: kn-lite builder check " + b.found.Name + " shows what it does and what it should do",
		}
	}
	return made, nil
}

// inspect checks what the plugin has left, everywhere.
func (b *Builder) inspect(ctx context.Context, e *end, w *work, platforms []v1.Platform, before snapshot, source string) (*build.Result, error) {
	if strays := w.strays(); len(strays) > 0 {
		return nil, fmt.Errorf("it has written outside of its output folder: %s", strings.Join(strays, ", "))
	}
	after, err := snapshotOf(source)
	if err != nil {
		return nil, err
	}
	if name, how := before.changed(after); name != "" {
		return nil, fmt.Errorf("it has written outside of its output folder: %s of the project was %s while it ran", name, how)
	}
	said, err := e.answer()
	if err != nil {
		return nil, err
	}
	if w.size() > b.limits.Bytes {
		return nil, errFull
	}
	if err := w.endTemp(); err != nil {
		return nil, err
	}
	root, err := w.openOutput()
	if err != nil {
		return nil, err
	}
	return openLayout(ctx, root, said.Digest, platforms, b.limits.Bytes)
}

// answer reads what the plugin has answered.
func (e *end) answer() (*answer, error) {
	if len(e.stdout) > maxAnswer {
		return nil, fmt.Errorf("it wrote more than %d bytes to its standard output, which is for its answer alone", maxAnswer)
	}
	var out answer
	decoder := json.NewDecoder(bytes.NewReader(e.stdout))
	if err := decoder.Decode(&out); err != nil {
		if len(bytes.TrimSpace(e.stdout)) == 0 {
			return nil, errors.New(`it wrote nothing to its standard output, where {"protocol": 1, "digest": "sha256:…"} is expected`)
		}
		return nil, fmt.Errorf("its standard output is not the expected JSON object: %w: %q", err, excerpt(e.stdout))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("there is more on its standard output than one JSON object: %q", excerpt(e.stdout))
	}
	if out.Protocol != Protocol {
		return nil, fmt.Errorf("it answers with version %d of the protocol, and was offered version %d", out.Protocol, Protocol)
	}
	return &out, nil
}

func excerpt(raw []byte) string {
	if len(raw) > 100 {
		return string(raw[:100]) + "…"
	}
	return string(raw)
}

// message returns what the plugin is told about r.
func (b *Builder) message(r builder.Request, w *work) (*message, error) {
	source, err := filepath.Abs(r.Dir)
	if err == nil {
		source, err = filepath.EvalSymlinks(source)
	}
	if err != nil {
		return nil, &fault.Error{Op: "builder.plugin", Kind: fault.NotFound, Subject: r.Dir, Err: err}
	}
	m := &message{
		Protocol: Protocol, Protocols: []int{Protocol}, Command: "build", Version: b.host.Version,
		Source: source, Output: w.output, Cache: w.cache,
		Image: r.Tag, BaseImage: r.BaseImage, Labels: r.Labels, NoCache: r.NoCache,
		SourceDateEpoch: max(r.Epoch.Unix(), 0),
	}
	if r.Project != nil {
		m.Function = &functionMessage{Name: r.Project.Name, Runtime: r.Project.Runtime}
		if m.BaseImage == "" {
			m.BaseImage = r.Project.Build.BaseImage
		}
	}
	for _, p := range r.Platforms {
		m.Platforms = append(m.Platforms, p.String())
	}
	if len(m.Platforms) == 0 {
		m.Platforms = []string{"linux/amd64"}
	}
	for _, kv := range r.BuildEnv {
		name, value, _ := strings.Cut(kv, "=")
		if m.BuildEnv == nil {
			m.BuildEnv = map[string]string{}
		}
		m.BuildEnv[name] = value
	}
	if d := r.Dockerfile; d.File != "" || d.Target != "" || len(d.Args) > 0 {
		m.Dockerfile = &dockerfileMessage{File: d.File, Target: d.Target, Args: d.Args}
	}
	return m, nil
}

// environment is this machine's, without what belongs to kn-lite's own secrets, and
// with the parts of the request that a script wants without reading JSON.
func environment(vars []string, m *message) []string {
	out := slices.DeleteFunc(slices.Clone(vars), func(kv string) bool {
		name, _, _ := strings.Cut(strings.ToUpper(kv), "=")
		return strings.HasPrefix(name, "KN_LITE_SIGN_") || strings.HasPrefix(name, "KN_LITE_BUILDER_") || name == "TMPDIR"
	})
	return append(out,
		fmt.Sprintf("KN_LITE_BUILDER_PROTOCOL=%d", m.Protocol),
		"KN_LITE_BUILDER_SOURCE="+m.Source,
		"KN_LITE_BUILDER_OUTPUT="+m.Output,
		"KN_LITE_BUILDER_CACHE="+m.Cache,
		"KN_LITE_BUILDER_PLATFORMS="+strings.Join(m.Platforms, ","),
		fmt.Sprintf("SOURCE_DATE_EPOCH=%d", m.SourceDateEpoch),
		"TMPDIR="+filepath.Join(filepath.Dir(m.Output), "temp"),
	)
}
