package traffic

import (
	"maps"
	"strconv"
	"strings"
)

// Prefix begins every annotation that is kn-lite's own.
const Prefix = "kn-lite.dev/"

// The annotations that are kn-lite's own.
const (
	// HistoryKey is on a service: its former splits.
	HistoryKey = Prefix + "traffic-history"
	// DeployKey is on a service while a deploy of it is under way.
	DeployKey = Prefix + "deploy"
	// RolloutKey is on a service: the rollout that is under way, or the last one.
	RolloutKey = Prefix + "rollout"
	// ReleasedKey is on a service whose template is a preview's: the template before it.
	ReleasedKey = Prefix + "released"
	// ProjectKey is on a service: what of it came from func.yaml.
	ProjectKey = Prefix + "from-project"
	// CommitKey is on a revision: the commit that it was built from.
	CommitKey = Prefix + "commit"
)

// PreviewPrefix begins the tags of previews.
const PreviewPrefix = "pr-"

// PreviewNumber returns N of the preview's tag pr-N; 0 for another tag.
func PreviewNumber(tag string) int {
	digits, ok := strings.CutPrefix(tag, PreviewPrefix)
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || digits != strconv.Itoa(n) {
		return 0
	}
	return n
}

// IsState reports whether an annotation is bookkeeping of kn-lite: it says how a
// service came to be as it is, and no deploy asks for it. It is no part of what
// users see as theirs, it is not brought back by an undo, and it does not belong
// into a manifest.
func IsState(key string) bool {
	return strings.HasPrefix(key, Prefix) && key != ProjectKey && key != CommitKey
}

// WithoutState returns the annotations that are not bookkeeping.
func WithoutState(annotations map[string]string) map[string]string {
	out := maps.Clone(annotations)
	maps.DeleteFunc(out, func(key, _ string) bool { return IsState(key) })
	return out
}

// budget is Kubernetes' bound for all annotations of an object together.
const budget = 256 << 10

// Fits reports whether Kubernetes stores an object with these annotations.
func Fits(annotations map[string]string) bool {
	size := 0
	for key, value := range annotations {
		size += len(key) + len(value)
	}
	return size <= budget
}
