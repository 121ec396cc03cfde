package app

// What programs read about results, in JSON: fields are added and never changed.

// BuildSummary is a BuildResult as programs read it.
type BuildSummary struct {
	Image     string          `json:"image"` // REGISTRY/NAME@sha256:…
	Tag       string          `json:"tag"`   // REGISTRY/NAME:TAG
	Digest    string          `json:"digest"`
	Language  string          `json:"language"`
	Pushed    bool            `json:"pushed"`
	Unchanged bool            `json:"unchanged"` // an earlier build made it; nothing was built now
	Platforms []BuiltPlatform `json:"platforms"`
}

// BuiltPlatform is the image of one platform.
type BuiltPlatform struct {
	Platform string       `json:"platform"`
	Base     string       `json:"base,omitempty"` // "" is the built-in base
	Layers   []BuiltLayer `json:"layers"`
}

// BuiltLayer is a layer of it that is not the base's.
type BuiltLayer struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
	Cached bool   `json:"cached"`
}

// Summarize returns the result as programs read it.
func (r *BuildResult) Summarize() BuildSummary {
	out := BuildSummary{Image: r.Image, Tag: r.Tag, Digest: r.Digest, Language: r.Language, Pushed: r.Pushed, Unchanged: r.Unchanged}
	for _, b := range r.Platforms {
		platform := BuiltPlatform{Platform: b.Platform.String(), Base: b.Base, Layers: []BuiltLayer{}}
		for _, l := range b.Layers {
			platform.Layers = append(platform.Layers, BuiltLayer{Name: l.Name, Digest: l.Digest.String(), Size: l.Size, Cached: l.Cached})
		}
		out.Platforms = append(out.Platforms, platform)
	}
	return out
}

// DeploySummary is a DeployResult as programs read it.
type DeploySummary struct {
	Outcome   string       `json:"outcome"` // created, updated, moved, unchanged
	Service   string       `json:"service"`
	Namespace string       `json:"namespace"`
	Revision  string       `json:"revision"`
	Image     string       `json:"image"`
	URL       string       `json:"url,omitempty"`
	TagURL    string       `json:"tagURL,omitempty"`
	Ready     bool         `json:"ready"`
	Traffic   []TargetInfo `json:"traffic"`
}

// Summarize returns the result as programs read it.
func (r *DeployResult) Summarize() DeploySummary {
	if r.Result == nil { // a dry run
		return DeploySummary{Service: r.Service, Namespace: r.Namespace, Traffic: []TargetInfo{}}
	}
	return DeploySummary{
		Outcome: string(r.Outcome), Service: r.Service, Namespace: r.Namespace, Revision: r.Revision, Image: r.Image,
		URL: r.URL, TagURL: r.TagURL, Ready: r.Ready, Traffic: SummarizeSplit(r.Split, r.Revision, nil),
	}
}
