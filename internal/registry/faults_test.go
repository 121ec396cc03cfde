package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
)

const (
	host = "localhost:5000"
	repo = "team/app"
	tag  = host + "/" + repo + ":v1"
)

var linux = v1.Platform{OS: "linux", Architecture: "amd64"}

// testImage is an image of incompressible layers of these sizes; seed tells
// images apart.
func testImage(t testing.TB, seed byte, sizes ...int) v1.Image {
	t.Helper()
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", Author: string('a' + rune(seed))})
	if err != nil {
		t.Fatal(err)
	}
	image = mutate.MediaType(image, types.OCIManifestSchema1)
	for i, size := range sizes {
		content := bytes.Repeat([]byte{seed, byte(i), 7}, size/3+1)[:size]
		if image, err = mutate.AppendLayers(image, static.NewLayer(content, types.OCILayer)); err != nil {
			t.Fatal(err)
		}
	}
	return image
}

func digestOf(t testing.TB, artifact registry.Artifact) string {
	t.Helper()
	d, err := artifact.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// lab is a registry and a client in one synctest bubble.
type lab struct {
	server *regtest.Server
	net    *regtest.Network
	client *registry.Client
	http   *http.Transport
}

func newLab(t testing.TB, server *regtest.Server, opts registry.Options) *lab {
	t.Helper()
	l := &lab{server: server, net: regtest.NewNetwork()}
	l.net.Add(host, server, nil)
	l.http = l.net.Transport(nil)
	opts.Transport = l.http
	var err error
	if l.client, err = registry.New(opts); err != nil {
		t.Fatal(err)
	}
	return l
}

// close lets every goroutine of the bubble end.
func (l *lab) close() {
	time.Sleep(time.Second) // net/http lingers on connections whose request nobody read to its end
	l.http.CloseIdleConnections()
	l.net.Close()
	synctest.Wait()
}

// outcome is what a fault point may end in: ok, or an error of this kind.
type outcome struct {
	ok   bool
	kind fault.Kind
}

var passes = outcome{ok: true}

func fails(kind fault.Kind) outcome { return outcome{kind: kind} }

func (o outcome) String() string {
	if o.ok {
		return "success"
	}
	return o.kind.String()
}

// point is one cell of the fault table.
type point struct {
	fault regtest.Fault
	want  outcome
}

// transientFaults are cured by another attempt, wherever they strike once, and
// are Transient when they last.
func transientFaults() []regtest.Action {
	return []regtest.Action{
		regtest.Status(500), regtest.Status(502), regtest.StatusAfter(503, "7"), regtest.Status(504), regtest.Status(408),
		regtest.StatusAfter(429, "3"), regtest.StatusAfter(429, "Sat, 01 Jan 2000 00:00:09 GMT"), regtest.StatusAfter(429, "soon"),
		regtest.Reset(), regtest.DropReply(), regtest.Stall(), regtest.BigError(100 << 20), regtest.HTML(502),
	}
}

var pushPath = []regtest.Request{
	regtest.Ping, regtest.Token, regtest.HeadTag, regtest.HeadBlob, regtest.PostUpload,
	regtest.PatchUpload, regtest.PutUpload, regtest.PutManifest, regtest.PutTag,
}

// pushPoints is the table for a push: every request against every fault.
func pushPoints() []point {
	var points []point
	add := func(on regtest.Request, do regtest.Action, want outcome) {
		points = append(points, point{regtest.Fault{On: on, Do: do}, want})
	}
	for _, on := range pushPath {
		for _, do := range transientFaults() {
			add(on, do, passes)
		}
	}
	for _, do := range []regtest.Action{regtest.Status(500), regtest.StatusAfter(503, "7"), regtest.StatusAfter(429, "86400"), regtest.Reset(), regtest.Stall()} {
		for _, on := range pushPath {
			points = append(points, point{regtest.Fault{On: on, Times: -1, Do: do}, fails(fault.Transient)})
		}
	}
	for _, on := range pushPath {
		switch on {
		case regtest.HeadTag: // asked to save work only; whoever may not ask may still be allowed to write
			add(on, regtest.Status(403), passes)
		default:
			add(on, regtest.Status(403), fails(fault.Auth))
		}
		switch on {
		case regtest.HeadTag, regtest.HeadBlob: // is not there
			add(on, regtest.Status(404), passes)
		case regtest.PatchUpload, regtest.PutUpload: // the session is gone, a new one is not
			add(on, regtest.Status(404), passes)
			add(on, regtest.Status(416), passes)
			points = append(points, point{regtest.Fault{On: on, Times: -1, Do: regtest.Status(416)}, fails(fault.Failure)})
		default:
			add(on, regtest.Status(404), fails(fault.NotFound))
		}
		switch on {
		case regtest.Ping, regtest.Token:
		case regtest.HeadTag:
			add(on, regtest.ExpireTokens(), passes)
			add(on, regtest.HTML(200), passes)
			add(on, regtest.WrongDigest(), passes)
		case regtest.HeadBlob:
			add(on, regtest.ExpireTokens(), passes)
			add(on, regtest.HTML(200), passes)
			add(on, regtest.WrongDigest(), passes)
		default:
			add(on, regtest.ExpireTokens(), passes)
			add(on, regtest.HTML(200), fails(fault.Failure))
		}
		switch on {
		case regtest.Ping:
		case regtest.Token:
			add(on, regtest.MalformedJSON(), passes)
			points = append(points, point{regtest.Fault{On: on, Times: -1, Do: regtest.MalformedJSON()}, fails(fault.Failure)})
			add(on, regtest.Status(401), fails(fault.Auth))
		case regtest.PutUpload: // asking again shows that the right blob is there
			add(on, regtest.WrongDigest(), passes)
			points = append(points, point{regtest.Fault{On: on, Times: -1, Do: regtest.WrongDigest()}, passes})
		case regtest.PutManifest, regtest.PutTag:
			add(on, regtest.WrongDigest(), passes)
			points = append(points, point{regtest.Fault{On: on, Times: -1, Do: regtest.WrongDigest()}, fails(fault.Failure)})
		}
		for _, elsewhere := range []string{"http://169.254.169.254/latest", "http://10.0.0.1/x", "http://[::1]/x", "http://elsewhere.example/x"} {
			add(on, regtest.Redirect(elsewhere), fails(fault.Failure))
		}
	}
	add(regtest.PatchUpload, regtest.FlipRequest(), passes)
	add(regtest.PatchUpload, regtest.ResetAfterReading(100), passes)
	add(regtest.PatchUpload, regtest.ResetAfterReading(40_000), passes)
	points = append(points, point{regtest.Fault{On: regtest.PatchUpload, Times: -1, Do: regtest.FlipRequest()}, fails(fault.Failure)})
	return points
}

// TestPushFaults strikes a push at every request with every fault. Whatever
// happens, the tag is the old one or the complete new one.
func TestPushFaults(t *testing.T) {
	points := pushPoints()
	if len(points) < 240 {
		t.Errorf("%d fault points, want at least 240", len(points))
	}
	for i, p := range points {
		times := "once"
		if p.fault.Times < 0 {
			times = "always"
		}
		t.Run(fmt.Sprintf("%03d %s %s", i, p.fault, times), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { pushPoint(t, p) })
		})
	}
	t.Logf("%d fault points", len(points))
}

func pushPoint(t *testing.T, p point) {
	old, next := testImage(t, 1, 500), testImage(t, 2, 90_000, 2_000, 10)
	server := regtest.New(p.fault)
	server.Auth, server.User, server.Password = "bearer", "u", "p"
	if err := server.Seed(repo, "v1", old); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, server, registry.Options{Env: credentials(t, "u", "p")})
	defer l.close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()

	started := time.Now()
	ref, err := l.client.Push(ctx, next, tag)
	took := time.Since(started)

	server.Verify(t)
	check(t, p.want, err)
	want := digestOf(t, next)
	if err == nil && ref != host+"/"+repo+"@"+want {
		t.Errorf("reference %s, want digest %s", ref, want)
	}
	now, complete := server.Tag(repo, "v1")
	switch {
	case !complete:
		t.Errorf("the tag names %q, which is not complete", now)
	case err == nil && now != want:
		t.Errorf("the push succeeded and the tag still names %s", now)
	case now != want && now != digestOf(t, old):
		t.Errorf("the tag names %s, which nobody pushed", now)
	}
	if ctx.Err() != nil || took > 8*time.Minute {
		t.Errorf("took %v of virtual time", took)
	}
	for _, kind := range pushPath {
		// The image has four blobs, each of which may be tried six times.
		limit := 6
		if kind == regtest.HeadBlob || kind == regtest.PostUpload || kind == regtest.PatchUpload || kind == regtest.PutUpload {
			limit = 4 * 6
		}
		if n := server.Count(kind); kind != regtest.Token && n > limit+1 {
			t.Errorf("%d requests of kind %s, want at most %d", n, kind, limit)
		}
	}
}

// check compares an error with the outcome that a point allows.
func check(t *testing.T, want outcome, err error) {
	t.Helper()
	switch {
	case want.ok && err != nil:
		t.Errorf("got %v (%v), want success", err, fault.KindOf(err))
	case !want.ok && err == nil:
		t.Errorf("got success, want %v", want)
	case !want.ok && fault.KindOf(err) != want.kind:
		t.Errorf("got %v (%v), want %v", err, fault.KindOf(err), want)
	}
	if err != nil && (bytes.ContainsAny([]byte(err.Error()), "\n\r<") || len(err.Error()) > 500) {
		t.Errorf("an error is one readable line, got %q", err)
	}
}

// pullPoints is the table for a pull by tag.
func pullPoints() []point {
	var points []point
	path := []regtest.Request{regtest.Ping, regtest.Token, regtest.GetTag, regtest.GetManifest, regtest.GetBlob}
	for _, on := range path {
		for _, do := range append(transientFaults(), regtest.StallAfterWriting(0)) {
			points = append(points, point{regtest.Fault{On: on, Do: do}, passes})
		}
		points = append(points,
			point{regtest.Fault{On: on, Times: -1, Do: regtest.Status(503)}, fails(fault.Transient)},
			point{regtest.Fault{On: on, Do: regtest.Status(403)}, fails(fault.Auth)},
			point{regtest.Fault{On: on, Do: regtest.Status(404)}, fails(fault.NotFound)},
			point{regtest.Fault{On: on, Do: regtest.Redirect("http://169.254.169.254/x")}, fails(fault.Failure)},
		)
		if on != regtest.Ping && on != regtest.Token {
			points = append(points, point{regtest.Fault{On: on, Do: regtest.ExpireTokens()}, passes})
		}
	}
	for _, on := range []regtest.Request{regtest.GetTag, regtest.GetManifest, regtest.GetBlob} {
		points = append(points,
			point{regtest.Fault{On: on, Do: regtest.ResetAfterWriting(5)}, passes},
			point{regtest.Fault{On: on, Do: regtest.StallAfterWriting(5)}, passes},
			point{regtest.Fault{On: on, Do: regtest.Truncate(3)}, passes},
			point{regtest.Fault{On: on, Times: -1, Do: regtest.Slow(50_000)}, passes},
		)
	}
	return append(points,
		point{regtest.Fault{On: regtest.GetTag, Do: regtest.MalformedJSON()}, passes},
		point{regtest.Fault{On: regtest.GetTag, Do: regtest.HTML(200)}, passes},
		point{regtest.Fault{On: regtest.GetTag, Times: -1, Do: regtest.HTML(200)}, fails(fault.Failure)},
		point{regtest.Fault{On: regtest.GetManifest, Do: regtest.FlipReply()}, passes},
		point{regtest.Fault{On: regtest.GetManifest, Times: -1, Do: regtest.FlipReply()}, fails(fault.Failure)},
		point{regtest.Fault{On: regtest.GetBlob, Nth: 2, Do: regtest.FlipReply()}, fails(fault.Failure)},
		point{regtest.Fault{On: regtest.GetBlob, Nth: 2, Do: regtest.ResetAfterWriting(40_000)}, passes},
		point{regtest.Fault{On: regtest.GetBlob, Nth: 2, Times: 4, Do: regtest.ResetAfterWriting(9_000)}, passes},
	)
}

// TestPullFaults strikes a pull of an index's image and of all its layers.
func TestPullFaults(t *testing.T) {
	points := pullPoints()
	for i, p := range points {
		t.Run(fmt.Sprintf("%03d %s", i, p.fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { pullPoint(t, p) })
		})
	}
	t.Logf("%d fault points", len(points))
}

func pullPoint(t *testing.T, p point) {
	image := testImage(t, 3, 90_000, 2_000)
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &linux}})
	server := regtest.New(p.fault)
	server.Auth, server.User, server.Password = "bearer", "u", "p"
	if err := server.Seed(repo, "v1", index); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, server, registry.Options{Env: credentials(t, "u", "p")})
	defer l.close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()

	got, err := l.client.Pull(ctx, tag, linux)
	if err == nil {
		err = readAll(got)
	}
	server.Verify(t)
	check(t, p.want, err)
	if err == nil && digestOf(t, got) != digestOf(t, image) {
		t.Errorf("pulled %s, want %s", digestOf(t, got), digestOf(t, image))
	}
	if ctx.Err() != nil {
		t.Error("did not end by itself")
	}
}

func readAll(image v1.Image) error {
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		rc, err := layer.Compressed()
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, rc)
		if closeErr := rc.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
		if size, _ := layer.Size(); n != size {
			return fmt.Errorf("a layer of %d bytes came as %d", size, n)
		}
	}
	return nil
}
