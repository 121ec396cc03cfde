package kaniko

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"

	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// Check implements builder.Builder.
func (*Builder) Check(r builder.Request) error {
	refuse := func(field, why string) error { return fault.New(fault.Usage, builder.OptionOp, field, "%s", why) }
	switch {
	case len(r.Dockerfile.Secrets) > 0:
		return refuse("Dockerfile.Secrets", "kaniko has no secrets for RUN: the builders \"dockerfile\" and \"cluster\" have")
	case r.Dockerfile.Offline:
		return refuse("Dockerfile.Offline", "kaniko cannot cut RUN off from the network: the builders \"dockerfile\" and \"cluster\" can")
	case len(r.Platforms) > 1:
		return refuse("Platforms", "kaniko builds for one platform at a time: the builders \"dockerfile\" and \"cluster\" make an index of several")
	case r.AllowMissingCommand:
		return refuse("AllowMissingCommand", "it has no effect with kaniko, which does not look at what an image starts")
	}
	if err := r.RefuseBaseImage(); err != nil {
		return err
	}
	return r.RequireDockerfile("builder.kaniko", "kaniko")
}

// refuse refuses what kaniko does not do. Most of it it takes for done, and the
// image is another one than the Dockerfile says.
func refuse(needed *dockerfile.Needed, image, file string) error {
	newer := newerFork(image)
	for _, d := range needed.Demands {
		why := ""
		switch d.Kind {
		case dockerfile.HereDocument:
			if !newer {
				why = "kaniko before 1.25 does not know here-documents: it would run nothing and report success"
			}
		case dockerfile.RunMount:
			if !newer {
				why = "kaniko before 1.25 takes no notice of mounts: what belongs into them would be in the image"
			}
		case dockerfile.RunNetwork:
			why = "kaniko takes no notice of it: RUN has the pod's network"
		case dockerfile.RunOther:
			why = "kaniko takes no notice of it"
		case dockerfile.AddChecksum:
			why = "kaniko does not check it: any content would be taken"
		case dockerfile.CopySelection:
			if !newer {
				why = "kaniko before 1.25 does not know the option"
			}
		case dockerfile.CopyWholeRoot:
			why = "kaniko cannot copy a whole stage: it would copy the pod's /proc with it"
		}
		if why != "" {
			return fault.New(fault.Usage, "builder.kaniko", fmt.Sprintf("%s:%d", cmp.Or(needed.Name, file, "Dockerfile"), d.Line), "%s: %s", d.Text, why).
				WithHint("the builders %q and %q do it", builder.Dockerfile, builder.Cluster)
		}
	}
	return nil
}

var version = regexp.MustCompile(`:v?(\d+)\.(\d+)\.\d+(?:-[a-z]+)?(?:@|$)`)

// newerFork reports whether an image is of a release after 1.24, the last one that
// kaniko's own project made. Those who go on with it have added what was missing.
func newerFork(image string) bool {
	m := version.FindStringSubmatch(image)
	if m == nil {
		return false
	}
	major, err := strconv.Atoi(m[1])
	minor, minorErr := strconv.Atoi(m[2])
	// kn-lite's own image has kn-lite's version.
	return err == nil && minorErr == nil && !isOwn(image) && (major > 1 || minor > 24)
}

func isOwn(image string) bool {
	return len(image) > len(publicImage) && image[:len(publicImage)+1] == publicImage+":"
}
