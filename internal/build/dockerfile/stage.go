package dockerfile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// stage is a stage that has been built, or is being built.
type stage struct {
	name   string
	base   *base // nil for scratch
	config v1.Config
	author string
	// startInterval is HEALTHCHECK's, which v1.Config has no field for.
	startInterval time.Duration
	vars          []string        // ENV and ARG in scope, as they follow each other: the last one counts
	args          map[string]bool // names of ARGs in scope
	history       []v1.History    // of this Dockerfile, above the base's
	steps         []*step
	positions     []int  // of the steps in history
	key           string // digest over all that the files depend on
	hasCmd        bool   // CMD was set here: ENTRYPOINT does not reset it
	hasWorkdir    bool   // WORKDIR was set in this Dockerfile
	ready         *ready // the files, once somebody needs them
}

// clone returns a stage of its own with the same content.
func (s *stage) clone() *stage {
	out := *s
	out.config = *s.config.DeepCopy()
	out.vars, out.args = slices.Clone(s.vars), maps.Clone(s.args)
	out.history, out.steps, out.positions = slices.Clone(s.history), slices.Clone(s.steps), slices.Clone(s.positions)
	out.ready = &ready{}
	return &out
}

// base is an image that a stage starts from.
type base struct {
	ref, digest string
	image       v1.Image
	config      *v1.ConfigFile
}

// stage reads the stage with index i, and those it needs, once. Nothing is run.
func (b *builder) stage(ctx context.Context, i int) (*stage, error) {
	if s, ok := b.stages[i]; ok {
		return s, nil
	}
	def := b.plan.stages[i]
	s, err := b.from(ctx, i, def)
	if err != nil {
		return nil, err
	}
	s.name = def.Name
	if s.name == "" {
		s.name = strconv.Itoa(i)
	}
	triggers := s.config.OnBuild
	s.config.OnBuild = nil
	for _, text := range triggers {
		cmd, err := b.trigger(text, def.Location)
		if err == nil {
			s, err = b.next(ctx, s, i, cmd, def.Location)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, cmd := range def.Commands {
		if s, err = b.next(ctx, s, i, cmd, cmd.Location()); err != nil {
			return nil, err
		}
	}
	b.stages[i] = s
	return s, nil
}

// next returns the stage as it is after one more instruction. A step that is run
// later sees the stage as it was then.
func (b *builder) next(ctx context.Context, s *stage, index int, cmd instructions.Command, where []parser.Range) (*stage, error) {
	after := s.clone()
	return after, b.dispatch(ctx, after, index, cmd, where)
}

// trigger parses an ONBUILD instruction of the base image.
func (b *builder) trigger(text string, where []parser.Range) (instructions.Command, error) {
	parsed, err := parser.Parse(strings.NewReader(text))
	if err != nil || len(parsed.AST.Children) != 1 {
		return nil, b.at(where, "the base's ONBUILD %q is no instruction", text)
	}
	newer, err := b.takeNewerFlags(parsed.AST.Children[0])
	if err != nil {
		return nil, err
	}
	cmd, err := instructions.ParseCommand(parsed.AST.Children[0])
	if err != nil {
		return nil, b.at(where, "the base's ONBUILD %q: %w", text, err)
	}
	b.plan.give(cmd, newer)
	return cmd, b.check(cmd)
}

// from starts a stage on another stage, on an image or on nothing.
func (b *builder) from(ctx context.Context, i int, def instructions.Stage) (*stage, error) {
	name, err := b.plan.expand(def.BaseName, b.plan.global)
	if err != nil {
		return nil, b.at(def.Location, "FROM %s: %w", def.BaseName, err)
	}
	if name == "" {
		return nil, b.at(def.Location, "FROM %s: the name is empty", def.BaseName).WithHint("give the ARG a default, or a value: {Dockerfile.Args} NAME=VALUE")
	}
	if at, ok := findStage(b.plan.stages[:i], name); ok {
		below, err := b.stage(ctx, at)
		if err != nil {
			return nil, err
		}
		s := below.clone()
		s.hasCmd = false
		return s, nil
	}
	if name == "scratch" {
		return &stage{
			key: "scratch", ready: &ready{}, args: map[string]bool{}, vars: []string{"PATH=" + defaultPath},
			config: v1.Config{Env: []string{"PATH=" + defaultPath}, WorkingDir: "/"},
		}, nil
	}
	platform, err := b.platform(def)
	if err != nil {
		return nil, err
	}
	s, err := b.fromImage(name, platform, def)
	return s, b.suggestStage(i, name, err)
}

// fromImage starts a stage on an image. With --platform in def, one that is for
// another platform alone is taken as it is, as with Docker.
func (b *builder) fromImage(name string, platform v1.Platform, def instructions.Stage) (*stage, error) {
	where := def.Location
	image, err := b.Pull(name, platform)
	if fault.KindOf(err) == fault.NotFound && def.Platform != "" {
		if only, onlyErr := b.Pull(name, v1.Platform{}); onlyErr == nil {
			b.Report.Warn(fmt.Sprintf("%s: FROM --platform=%s: %s is for another platform alone, and is taken as it is", b.subject(where), def.Platform, name))
			image, err = only, nil
		}
	}
	if err != nil {
		return nil, b.locate(where, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return nil, b.locate(where, err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, b.locate(where, err)
	}
	s := &stage{
		base:   &base{ref: name, digest: digest.String(), image: image, config: config},
		config: *config.Config.DeepCopy(), author: config.Author,
		key: "base " + digest.String(), args: map[string]bool{}, ready: &ready{},
	}
	if s.startInterval, err = startInterval(image); err != nil {
		return nil, b.locate(where, err)
	}
	if lookup(s.config.Env, "PATH") == "" {
		s.config.Env = append(s.config.Env, "PATH="+defaultPath)
	}
	s.vars = slices.Clone(s.config.Env)
	return s, nil
}

// defaultPath is what a base that sets none gets, as with Docker.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// other returns a stage or an image that COPY --from or a mount names.
func (b *builder) other(ctx context.Context, current int, name string, where []parser.Range) (*stage, error) {
	s, err := b.findOther(ctx, current, name, where)
	if err == nil && !b.running {
		b.needed = append(b.needed, s)
	}
	return s, err
}

func (b *builder) findOther(ctx context.Context, current int, name string, where []parser.Range) (*stage, error) {
	if at, ok := findStage(b.plan.stages[:current], name); ok {
		return b.stage(ctx, at)
	}
	if at, err := strconv.Atoi(name); err == nil {
		if at < 0 || at >= current {
			return nil, b.at(where, "--from=%s: there is no such stage above", name)
		}
		return b.stage(ctx, at)
	}
	if instructions.IsCurrentStage(b.plan.stages[current:current+1], name) {
		return nil, b.at(where, "--from=%s: a stage cannot copy from itself", name)
	}
	if strings.Contains(name, "$") {
		return nil, b.at(where, "--from=%s: no variable has a value there", name).
			WithHint("name a stage that begins with it: FROM %s AS other", name)
	}
	if s, ok := b.images[name]; ok {
		return s, nil
	}
	s, err := b.fromImage(name, b.Platform, instructions.Stage{Location: where})
	if err == nil {
		b.images[name] = s
	}
	return s, b.suggestStage(current, name, err)
}

// env is what $NAME means in an instruction.
func (s *stage) env() map[string]string {
	out := map[string]string{}
	for _, kv := range s.vars {
		name, value, _ := strings.Cut(kv, "=")
		out[name] = value
	}
	return out
}

// runEnv is the environment of RUN. A proxy that was given is in it, under both
// spellings, as programs know one or the other.
func (s *stage) runEnv(b *builder) []string {
	out := slices.Clone(s.vars)
	given := map[string]string{}
	for name, value := range b.Args {
		if upper := strings.ToUpper(name); isProxy(name) && (given[upper] == "" || name == upper) {
			given[upper] = value
		}
	}
	for _, upper := range slices.Sorted(maps.Keys(given)) {
		for _, name := range []string{upper, strings.ToLower(upper)} {
			if !has(out, name) {
				out = append(out, name+"="+given[upper])
			}
		}
	}
	return out
}

func has(env []string, name string) bool {
	return slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
}

func lookup(env []string, name string) string {
	for _, kv := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// digest is a key over parts, none of which can run into the next.
func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s,", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func hostPlatform() v1.Platform {
	return v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
}
