package deploy

import (
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// number is N of SERVICE-vN, or 0 for a name of another form.
func number(service, revision string) int {
	digits, ok := strings.CutPrefix(revision, service+"-v")
	if !ok || digits == "" || digits[0] == '0' {
		return 0
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// nextName is SERVICE-vN, one more than any that is known. The template and
// the split count too: they may name revisions that do not exist yet or any
// more, and a number must never come to mean something else.
func nextName(service string, live *servingv1.Service, revisions []servingv1.Revision) string {
	highest := 0
	see := func(name string) { highest = max(highest, number(service, name)) }
	for i := range revisions {
		see(revisions[i].Name)
	}
	if live != nil {
		see(live.Spec.Template.Name)
		see(live.Status.LatestCreatedRevisionName)
		for _, t := range live.Spec.Traffic {
			see(t.RevisionName)
		}
	}
	return numbered(service, highest+1)
}

func numbered(service string, n int) string { return service + "-v" + strconv.Itoa(n) }

// longestName is Kubernetes' bound for names that become labels and host names.
const longestName = 63

// CheckNames refuses what Knative would refuse, or never route to, before any
// work is done. revision and tag may be empty.
func CheckNames(service, revision, tag string) error {
	if revision != "" {
		name := fullName(service, revision)
		if problems := validation.IsDNS1035Label(name); len(problems) > 0 {
			return fault.New(fault.Usage, "deploy.revision", "revision "+revision, "%q is not a revision's name: %s", name, strings.Join(problems, "; "))
		}
	}
	if tag == "" {
		return nil
	}
	if problems := validation.IsDNS1035Label(tag); len(problems) > 0 {
		return fault.New(fault.Usage, "deploy.tag", "tag "+tag, "%s", strings.Join(problems, "; ")).
			WithHint("a tag becomes part of a host name: lower-case letters, digits and '-', starting with a letter")
	}
	if host := tag + "-" + service; len(host) > longestName {
		return fault.New(fault.Usage, "deploy.tag", "tag "+tag, "the host name %s would have %d characters, and %d are allowed", host, len(host), longestName).
			WithHint("choose a shorter tag")
	}
	return nil
}

// fullName completes --revision: Knative wants every revision's name to begin
// with its service's, so "blue" means hello-blue.
func fullName(service, revision string) string {
	if strings.HasPrefix(revision, service+"-") {
		return revision
	}
	return service + "-" + revision
}
