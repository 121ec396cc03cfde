package parts

import (
	"context"
	"io"
)

// Ensure compiles whatever of the set is missing in cache and returns it.
// cache is a directory, made when absent; story receives progress for a person,
// in plain lines. A complete cache returns in well under 200 ms.
func Ensure(ctx context.Context, cache string, story io.Writer) (Set, error) {
	return Set{}, ctx.Err()
}

// Push uploads every image of set to registry ("host:port") and returns
// name → "host:port/name@sha256:…". Blobs that are there already are not sent again.
func Push(ctx context.Context, set Set, registry string) (map[string]string, error) {
	return nil, ctx.Err()
}
