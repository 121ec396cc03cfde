// Package builder is what all ways of making an image have in common: one small
// interface, what they are asked for and what they give back, and the choice
// between them. Each way is a package below this one that implements Builder;
// nothing outside of internal/builder compares a builder's name.
//
// A builder gets no private key and asks nobody anything. It reports its progress
// to Request.Progress and returns errors that are *fault.Error: Usage for a request
// that it cannot fulfil, Build for sources that do not build.
package builder

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/build"
)

// Builder makes an image from a folder.
type Builder interface {
	// Name returns what users choose it by: one word in lower case.
	Name() string

	// Check reports what the builder cannot do of r, before any work. Build, Explain
	// and Verify may rely on the caller having called it.
	Check(r Request) error

	// Build makes the image, or finds that an earlier build has made it. It leaves
	// nothing behind but caches and, where the builder is a Pusher, the image in its
	// registry. ctx has to last until the result has been pushed or written. The
	// caller closes the result.
	Build(ctx context.Context, r Request) (*Result, error)
}

// Explainer is a Builder that can say what it would do.
type Explainer interface {
	// Explain returns what Build would do for r and why, and does nothing.
	Explain(ctx context.Context, r Request) (*build.Explanation, error)
}

// Verifier is a Builder that can prove that its builds are reproducible.
type Verifier interface {
	// Verify builds twice under different circumstances. Images that differ are an
	// error of kind Build that names the first difference.
	Verify(ctx context.Context, r Request) (*Result, error)
}

// Pusher is a Builder whose images are in their registry, under Request.Tag, when
// Build returns. It needs a Tag.
type Pusher interface {
	PushesItself()
}

// Runner is a Builder whose projects also run as a process of this machine, without
// an image.
type Runner interface {
	// RunSpec returns what the engine needs for that.
	RunSpec(r Request) (build.Spec, error)
}
