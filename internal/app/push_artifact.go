package app

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/registry"
)

// pushArtifact pushes artifact to tag, reports its progress, and returns the
// reference by digest.
func (a *App) pushArtifact(ctx context.Context, artifact registry.Artifact, tag string, with registry.Attached) (string, error) {
	client, err := a.Registry()
	if err != nil {
		return "", err
	}
	task := a.report().Start("pushing to "+tag, 0)
	pushed, err := client.PushWith(ctx, artifact, tag, with)
	if err != nil {
		task.Fail()
		return "", err
	}
	task.Done("pushed " + tag + ": " + pushed.String())
	return pushed.Ref, nil
}
