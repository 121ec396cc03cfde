package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/key"
	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// ComputeKey makes the key of the build: two builds with the same key give the
// same image, whatever the machine, the folder and the time. It costs a look at
// every input that has changed since the last time, and one request for what the
// base's tag means. why is the reason when there is no key: the build has to run.
func (p *Prepared) ComputeKey(ctx context.Context) (id *key.Key, why string, err error) {
	b := p.builder
	_, ok := b.language.(lang.Keyed)
	switch {
	case !ok:
		return nil, "the inputs of " + b.language.Name() + " are not told apart yet", nil
	case b.spec.Builder == "":
		return nil, "it is not known which kn-lite this is", nil
	}
	in, err := b.languageInputs(ctx)
	if err != nil {
		return nil, "", b.describe(err)
	}
	if in.Unknown != "" {
		return nil, in.Unknown, nil
	}
	base := "built in"
	if ref := b.baseRef(); ref != "" {
		if b.resolved, err = b.resolve(ctx, ref); err != nil {
			return nil, "", err
		}
		// The name gets into the image too.
		base = ref + "@" + b.resolved.String()
	}
	id = &key.Key{}
	id.Add("kn-lite", b.spec.Builder)
	id.Add("language", b.language.Name())
	plan, err := json.Marshal([]any{b.plan.Style, b.plan.Entrypoint, b.plan.Env, b.plan.Path, b.plan.WorkingDir})
	if err != nil {
		return nil, "", err
	}
	id.Add("plan", string(plan))
	id.Add("platforms", platformList(p.platforms))
	id.Add("base", base)
	id.Add("time stamps", strconv.FormatInt(b.spec.Epoch.Unix(), 10))
	for _, name := range slices.Sorted(maps.Keys(b.spec.Labels)) {
		id.Add("label "+name, b.spec.Labels[name])
	}
	if b.spec.Documents != AllDocuments() {
		id.Add("documents", fmt.Sprintf("SBOM %t, provenance %t", b.spec.Documents.SBOM, b.spec.Documents.Provenance))
	}
	for _, kv := range b.spec.BuildEnv {
		// The value may be a secret.
		name, value, _ := strings.Cut(kv, "=")
		id.AddDigest("build variable "+name, value)
	}
	for _, f := range b.variables.Facts(b.project.Environ) {
		if !b.named(f.Name) {
			id.AddDigest("setting "+f.Name, f.Value)
		}
	}
	for _, f := range in.Facts {
		id.Add(f.Name, f.Value)
	}
	if err := b.addFiles(ctx, id, in); err != nil {
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		// A folder that is not there, a file that cannot be read: the toolchain says
		// so in its own words, if it matters to it.
		return nil, err.Error(), nil
	}
	return id, "", nil
}

// languageInputs asks the language once what its layers depend on. One that is not
// Keyed names nothing.
func (b *builder) languageInputs(ctx context.Context) (*lang.Inputs, error) {
	b.inputsMu.Lock()
	defer b.inputsMu.Unlock()
	if b.inputs != nil {
		return b.inputs, nil
	}
	in := &lang.Inputs{}
	if keyed, ok := b.language.(lang.Keyed); ok {
		var err error
		if in, err = keyed.Inputs(ctx, b.project, b.plan); err != nil {
			return nil, err
		}
	}
	b.inputs = in
	return in, nil
}

func (b *builder) addFiles(ctx context.Context, id *key.Key, in *lang.Inputs) error {
	cache := key.OpenCache(filepath.Join(stamps(b.spec.CacheDir), folderName(b.project.Dir)), b.spec.Now)
	for _, f := range in.Files {
		text, err := key.File(f.Path, cache)
		if err != nil {
			return err
		}
		id.Add("file "+f.Name, text)
	}
	for _, f := range in.Folders {
		files, err := key.Folder(ctx, f, cache)
		if err != nil {
			return err
		}
		id.AddFiles("files of "+f.Name, files)
	}
	// What is not remembered is read again.
	_ = cache.Save()
	return nil
}

// resolve asks once what the base's reference means.
func (b *builder) resolve(ctx context.Context, ref string) (v1.Hash, error) {
	if b.resolved != (v1.Hash{}) {
		return b.resolved, nil
	}
	if _, digest, ok := strings.Cut(ref, "@"); ok {
		return v1.NewHash(digest)
	}
	if b.spec.Resolve == nil {
		return v1.Hash{}, fault.New(fault.Failure, "build.base", ref, "no registry client to ask")
	}
	return b.spec.Resolve(ctx, ref)
}

// Where results of earlier builds are, below the cache folder.
func (b *builder) records() string   { return filepath.Join(b.spec.CacheDir, "keys") }
func (b *builder) histories() string { return filepath.Join(b.spec.CacheDir, "last") }

// stamps is where digests of files that have not changed are remembered.
func stamps(cacheDir string) string { return filepath.Join(cacheDir, "stat") }

// folderName is a file name for what is remembered about the project in dir.
func folderName(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:16])
}

func platformList(platforms []v1.Platform) string {
	var names []string
	for _, p := range platforms {
		names = append(names, p.String())
	}
	return strings.Join(names, " ")
}
