//go:build !unix

package local

// lockHeld reports no platform where none can run.
func lockHeld(string) (bool, error) { return false, nil }
