package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// Demand is a part of a Dockerfile that came after the first builders of
// Dockerfiles, and that not every other builder does or notices.
type Demand struct {
	Kind DemandKind
	Line int
	Text string // as it is written, e.g. "RUN --mount=type=cache"
}

// DemandKind tells demands apart.
type DemandKind string

// The kinds of demands.
const (
	HereDocument  DemandKind = "here-document"
	RunMount      DemandKind = "run-mount"
	RunNetwork    DemandKind = "run-network"
	RunOther      DemandKind = "run-option" // --security, --device
	AddChecksum   DemandKind = "add-checksum"
	CopySelection DemandKind = "copy-selection" // --parents, --exclude
	CopyWholeRoot DemandKind = "copy-root"      // COPY --from=STAGE /
)

// demands lists those of the stages up to the target, unused ones among them: other
// builders may build these, too.
func (b *builder) demands() []Demand {
	var out []Demand
	for _, stage := range b.plan.stages[:b.plan.target+1] {
		for _, cmd := range stage.Commands {
			add := func(kind DemandKind, text string) {
				out = append(out, Demand{Kind: kind, Line: lineOf(cmd.Location()), Text: text})
			}
			switch c := cmd.(type) {
			case *instructions.RunCommand:
				runDemands(c, add)
			case *instructions.CopyCommand:
				if len(c.SourceContents) > 0 {
					add(HereDocument, "COPY <<"+c.SourceContents[0].Path)
				}
				if c.Parents {
					add(CopySelection, "COPY --parents")
				}
				if len(c.ExcludePatterns) > 0 {
					add(CopySelection, "COPY --exclude")
				}
				if c.From != "" && len(c.SourcePaths) == 1 && strings.Trim(c.SourcePaths[0], "/.") == "" && strings.HasPrefix(c.SourcePaths[0], "/") {
					add(CopyWholeRoot, "COPY --from="+c.From+" "+c.SourcePaths[0])
				}
			case *instructions.AddCommand:
				if len(c.SourceContents) > 0 {
					add(HereDocument, "ADD <<"+c.SourceContents[0].Path)
				}
				if c.Checksum != "" {
					add(AddChecksum, "ADD --checksum")
				}
				if len(c.ExcludePatterns) > 0 {
					add(CopySelection, "ADD --exclude")
				}
				if b.plan.packed[c] {
					add(CopySelection, "ADD --unpack")
				}
			}
		}
	}
	return out
}

func runDemands(c *instructions.RunCommand, add func(DemandKind, string)) {
	if len(c.Files) > 0 {
		add(HereDocument, "RUN <<"+c.Files[0].Name)
	}
	for _, m := range instructions.GetMounts(c) {
		add(RunMount, "RUN --mount=type="+string(m.Type))
	}
	for _, flag := range c.FlagsUsed {
		switch flag {
		case "network":
			if mode := instructions.GetNetwork(c); mode != instructions.NetworkDefault {
				add(RunNetwork, "RUN --network="+mode)
			}
		case "security", "device":
			add(RunOther, "RUN --"+flag)
		}
	}
}
