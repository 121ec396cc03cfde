package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/revision"
)

func TestDescribeRevision(t *testing.T) {
	a, _ := stubbed(t, "")
	got, err := a.DescribeRevision(t.Context(), Target{}, "hello-v1")
	if err != nil || got.Name != "hello-v1" || got.Service.Name != "hello" || got.Finding != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	if len(got.Uses) != 1 || got.Uses[0].Code != revision.Tagged || got.Uses[0].Tag != "blue" {
		t.Errorf("uses: %+v", got.Uses)
	}
	got, err = a.DescribeRevision(t.Context(), hello, "v3")
	if err != nil || got.Finding == nil || !strings.Contains(got.Finding.Cause, "boom") {
		t.Errorf("one that is not ready: %+v, %v", got, err)
	}
	for ref, kind := range map[string]fault.Kind{"nosuch-v1": fault.Usage, "v1": fault.Usage} {
		if _, err := a.DescribeRevision(t.Context(), Target{}, ref); fault.KindOf(err) != kind {
			t.Errorf("%s without a service: %v", ref, err)
		}
	}
}

// Whoever is asked and says no, or what is in use, costs nothing.
func TestDeleteRevisions(t *testing.T) {
	a, seen := stubbed(t, "")
	for _, refs := range [][]string{{"v1"}, {"v2"}, {"v3"}} {
		if _, err := a.DeleteRevisions(t.Context(), DeleteRevisionsRequest{Target: hello, Refs: refs}); fault.KindOf(err) != fault.Conflict {
			t.Errorf("%v: %v", refs, err)
		}
	}
	if lines := seen.Lines(); slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, "deleted") }) {
		t.Errorf("something was deleted: %v", lines)
	}
}

// tidyCluster has a service fn with a revision for each image; the last one serves.
func tidyCluster(images ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: fn, namespace: demo}
spec:
  template: {spec: {containers: [{image: registry.example/fn}]}}
  traffic: [{latestRevision: true, percent: 100}]
status: {latestReadyRevisionName: fn-v%d, latestCreatedRevisionName: fn-v%d}
`, len(images), len(images))
	for i, image := range images {
		fmt.Fprintf(&b, `---
apiVersion: serving.knative.dev/v1
kind: Revision
metadata: {name: fn-v%d, namespace: demo, labels: {serving.knative.dev/service: fn, serving.knative.dev/configurationGeneration: "%d"}}
spec: {containers: [{image: %q}]}
status: {observedGeneration: 1, conditions: [{type: Ready, status: "True"}]}
`, i+1, i+1, image)
	}
	return b.String()
}

// Images go with their revisions when nothing else uses them: not another revision,
// in whatever namespace, and not as a platform of another image.
func TestImagesOfDeletedRevisions(t *testing.T) {
	host, client := testRegistry(t)
	push := func(artifact registry.Artifact, name string) string {
		t.Helper()
		ref, err := client.Push(t.Context(), artifact, host+"/team/"+name)
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	image := func() v1.Image {
		t.Helper()
		image, err := random.Image(100, 1)
		if err != nil {
			t.Fatal(err)
		}
		return image
	}
	part := image()
	unused, shared, elsewhere, partRef := push(image(), "fn:1"), push(image(), "fn:2"), push(image(), "fn:3"), push(part, "fn:4")
	index := push(mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: part}), "fn:5")
	manifests := tidyCluster(unused, shared, elsewhere, partRef, unused, shared, index) + fmt.Sprintf(`---
apiVersion: serving.knative.dev/v1
kind: Revision
metadata: {name: other-v1, namespace: far, labels: {serving.knative.dev/service: other}}
spec: {containers: [{image: %q}]}
`, elsewhere)
	a, _ := stubbedWith(t, manifests, "")
	a.Registry = func() (*registry.Client, error) { return client, nil }
	target := Target{Service: "fn"}

	dry, err := a.CollectRevisions(t.Context(), CollectRequest{Target: target, Keep: 1, DryRun: true, Images: true})
	if err != nil || !slices.Equal(dry.Images, []string{unused}) || len(dry.Deleted) != 5 {
		t.Fatalf("dry run: %+v, %v", dry, err)
	}
	if _, err := client.Head(t.Context(), unused); err != nil {
		t.Fatalf("a dry run deletes: %v", err)
	}
	done, err := a.CollectRevisions(t.Context(), CollectRequest{Target: target, Keep: 1, Images: true})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range done.Deleted {
		names = append(names, d.Name)
	}
	if diff := cmp.Diff([]string{"fn-v5", "fn-v4", "fn-v3", "fn-v2", "fn-v1"}, names); diff != "" {
		t.Errorf("deleted: -want +got:\n%s", diff)
	}
	if !slices.Equal(done.Images, []string{unused}) {
		t.Errorf("images: %v", done.Images)
	}
	for name, ref := range map[string]string{"shared": shared, "of another namespace": elsewhere, "part of an index": partRef, "in use": index} {
		if _, err := client.Head(t.Context(), ref); err != nil {
			t.Errorf("the image that is %s: %v", name, err)
		}
	}
	if _, err := client.Head(t.Context(), unused); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the unused image: %v", err)
	}
}
