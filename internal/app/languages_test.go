package app_test

import (
	"slices"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// TestLanguagesHaveBaseImages holds the settings, which know no builds, against the
// languages that are built.
func TestLanguagesHaveBaseImages(t *testing.T) {
	built, settable := build.Languages(), settings.Languages()
	slices.Sort(built)
	slices.Sort(settable)
	if !slices.Equal(built, settable) {
		t.Errorf("languages that are built: %v, with a setting for their base: %v", built, settable)
	}
}
