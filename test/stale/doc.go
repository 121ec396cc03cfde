// Package stale changes, one after another, twenty kinds of things that an image
// may depend on, in every language and with the real toolchains, and fails when a
// build takes an earlier image that is no longer right.
package stale
