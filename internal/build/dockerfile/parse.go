package dockerfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// plan is a Dockerfile that has been read and checked.
type plan struct {
	stages []instructions.Stage
	escape rune
	global map[string]string                 // ARGs before the first FROM
	used   map[string]bool                   // build arguments that some ARG has asked for
	packed map[*instructions.AddCommand]bool // whose archives are not unpacked
	lint   *lint
	target int
}

const maxDockerfile = 1 << 20

func (b *builder) readFile() ([]byte, error) {
	b.file = b.File
	if b.file == "" {
		b.file = DefaultFile
	}
	var f io.ReadCloser
	var err error
	if b.File == "" {
		f, err = b.tree.FS().Open(DefaultFile)
	} else {
		// The user named it; it may stand outside of the context.
		f, err = regular.Open(b.File)
		if rel, relErr := filepath.Rel(b.Dir, b.File); relErr == nil && filepath.IsLocal(rel) {
			b.file = filepath.ToSlash(rel)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "dockerfile.read", filepath.Join(b.Dir, b.file), "there is no such file").
			WithHint("name the Dockerfile with {Dockerfile.File}, or its folder: kn-lite build DIR")
	}
	if err != nil {
		return nil, &fault.Error{Op: "dockerfile.read", Kind: fault.Usage, Subject: b.file, Err: regular.Cause(err)}
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxDockerfile+1))
	if err == nil && len(raw) > maxDockerfile {
		err = fmt.Errorf("larger than %d bytes", maxDockerfile)
	}
	if err != nil {
		return nil, &fault.Error{Op: "dockerfile.read", Kind: fault.Usage, Subject: b.file, Err: err}
	}
	return raw, nil
}

// opBuild is the operation of errors that say where in the Dockerfile they are.
const opBuild = "dockerfile.build"

// at is an error about the Dockerfile.
func (b *builder) at(where []parser.Range, format string, args ...any) *fault.Error {
	return fault.New(fault.Build, opBuild, b.subject(where), format, args...)
}

func (b *builder) subject(where []parser.Range) string {
	line := lineOf(where)
	if line == 0 {
		return b.file
	}
	return b.file + ":" + strconv.Itoa(line)
}

// lineOf returns the line in which something begins; 0 where that is not known.
func lineOf(where []parser.Range) int {
	if len(where) == 0 {
		return 0
	}
	return where[0].Start.Line
}

// locate gives err the place in the Dockerfile, keeping its kind unless it has none.
func (b *builder) locate(where []parser.Range, err error) error {
	if err == nil || fault.KindOf(err) == fault.Timeout || errors.Is(err, fs.ErrClosed) {
		return err
	}
	kind := fault.KindOf(err)
	switch kind {
	case fault.NotFound, fault.Usage, fault.Failure:
		kind = fault.Build // what a Dockerfile names and is not there is the Dockerfile's fault
	}
	return &fault.Error{Op: opBuild, Kind: kind, Subject: b.subject(where), Err: err}
}

func (b *builder) parse(raw []byte) (*plan, error) {
	if syntax, _, _, ok := parser.DetectSyntax(raw); ok && !knownSyntax(syntax) {
		return nil, fault.New(fault.Build, "dockerfile.parse", b.file+":1", "# syntax=%s: other front ends than docker/dockerfile are not supported", syntax).
			WithHint("remove the line if the file is a plain Dockerfile")
	}
	parsed, err := parser.Parse(bytes.NewReader(raw))
	if err != nil {
		return nil, b.parseError(err)
	}
	warnings, err := newLint(b.file, raw)
	if err != nil {
		return nil, err
	}
	newer, err := b.takeAllNewerFlags(parsed.AST)
	if err != nil {
		return nil, err
	}
	stages, globals, err := instructions.Parse(parsed.AST, warnings.Linter)
	if err != nil {
		return nil, b.parseError(err)
	}
	if len(stages) == 0 {
		last := bytes.Count(bytes.TrimRight(raw, "\n"), []byte("\n")) + 1
		return nil, fault.New(fault.Build, "dockerfile.parse", b.file+":"+strconv.Itoa(last), "the file ends without a FROM, which names the base image").
			WithHint("begin with FROM, such as: FROM alpine, or FROM scratch for no base")
	}
	p := &plan{stages: stages, escape: parsed.EscapeToken, used: map[string]bool{}, packed: map[*instructions.AddCommand]bool{}, lint: warnings}
	p.giveAll(newer)
	if p.target, err = p.find(b.Target); err != nil {
		return nil, err
	}
	if err := p.setGlobals(b, globals); err != nil {
		return nil, err
	}
	warnings.continuations(parsed.Warnings)
	warnings.casing(parsed.AST.Children)
	warnings.stages(p)
	needed := p.needed()
	for i := range stages {
		if !needed[i] {
			continue
		}
		if err := p.checkBase(b, stages[i]); err != nil {
			return nil, err
		}
		for _, cmd := range stages[i].Commands {
			if err := b.check(cmd); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func knownSyntax(syntax string) bool {
	syntax = strings.TrimPrefix(syntax, "docker.io/")
	if upstream, ok := strings.CutPrefix(syntax, "docker/dockerfile-upstream"); ok {
		// buildkit's own builds of the same front end; some are called master.
		return upstream == "" || strings.ContainsAny(upstream[:1], ":@")
	}
	rest, ok := strings.CutPrefix(syntax, "docker/dockerfile")
	version, versioned := strings.CutPrefix(rest, ":1")
	return ok && (rest == "" || versioned && (version == "" || strings.ContainsAny(version[:1], ".-@")))
}

func (b *builder) parseError(err error) error {
	e := &fault.Error{Op: "dockerfile.parse", Kind: fault.Build, Subject: b.file, Err: err}
	if located, ok := errors.AsType[*parser.LocationError](err); ok && len(located.Locations) > 0 {
		e.Subject = b.subject(located.Locations[0])
	}
	// The subject has the line.
	text := err.Error()
	if rest, ok := strings.CutPrefix(text, "dockerfile parse error on line "); ok {
		line, cause, _ := strings.Cut(rest, ": ")
		if text = cause; e.Subject == b.file {
			e.Subject += ":" + line
		}
	}
	e.Err = errors.New(text)
	return e
}

// setGlobals evaluates the ARGs before the first FROM.
func (p *plan) setGlobals(b *builder, globals []instructions.ArgCommand) error {
	p.global = platformArgs(b)
	p.global["TARGETSTAGE"] = cmp.Or(p.stages[p.target].Name, "default")
	for _, cmd := range globals {
		for _, arg := range cmd.Args {
			p.used[arg.Key] = true
			if value, ok := b.Args[arg.Key]; ok {
				p.global[arg.Key] = value
				continue
			}
			if arg.Value == nil {
				continue
			}
			value, err := p.expand(*arg.Value, p.global)
			if err != nil {
				return b.at(cmd.Location(), "ARG %s: %w", arg.Key, err)
			}
			p.global[arg.Key] = value
		}
	}
	return nil
}

// platformArgs are there without being declared, in FROM and for ARG.
func platformArgs(b *builder) map[string]string {
	t, host := b.Platform, hostPlatform()
	return map[string]string{
		"TARGETPLATFORM": t.String(), "TARGETOS": t.OS, "TARGETARCH": t.Architecture, "TARGETVARIANT": t.Variant,
		"BUILDPLATFORM": host.String(), "BUILDOS": host.OS, "BUILDARCH": host.Architecture, "BUILDVARIANT": host.Variant,
	}
}

// find is the index of a stage by name or number; "" is the last one.
func (p *plan) find(target string) (int, error) {
	if target == "" {
		return len(p.stages) - 1, nil
	}
	if i, ok := findStage(p.stages, strings.ToLower(target)); ok {
		return i, nil
	}
	if i, err := strconv.Atoi(target); err == nil && i >= 0 && i < len(p.stages) {
		return i, nil
	}
	var names []string
	for _, s := range p.stages {
		if s.Name != "" {
			names = append(names, s.Name)
		}
	}
	e := fault.New(fault.Usage, "dockerfile.target", target, "there is no such stage")
	if near := fault.Nearest(target, names); near != "" {
		return 0, e.WithHint("did you mean %q?", near)
	}
	return 0, e.WithHint("stages: %s", strings.Join(names, ", "))
}

// variables implements buildkit's shell.EnvGetter.
type variables map[string]string

var _ shell.EnvGetter = variables{}

// Get implements shell.EnvGetter.
func (v variables) Get(name string) (string, bool) {
	value, ok := v[name]
	return value, ok
}

// Keys implements shell.EnvGetter.
func (v variables) Keys() []string { return slices.Sorted(maps.Keys(v)) }

func (p *plan) expand(word string, env map[string]string) (string, error) {
	out, _, err := shell.NewLex(p.escape).ProcessWord(word, variables(env))
	return out, err
}

// warnUnused names build arguments that nothing asked for: mostly a typing mistake.
func (p *plan) warnUnused(args map[string]string, report progress.Reporter) {
	for _, name := range slices.Sorted(maps.Keys(args)) {
		if !p.used[name] && !isProxy(name) {
			report.Warn(fmt.Sprintf("build argument %s: no ARG in the stages that were built asks for it", name))
		}
	}
}
