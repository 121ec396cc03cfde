package script

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"
)

// registryCommands are the script commands that start registries on loopback.
// Each lives until its script ends.
func registryCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"registry": startRegistry,
	}
}

// startRegistry starts an empty registry and stores its host:port in $REGISTRY,
// or in the variable that is named: `registry MIRROR`.
func startRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: registry [VARIABLE]")
	}
	variable := "REGISTRY"
	if len(args) == 1 {
		variable = args[0]
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	ts.Defer(server.Close)
	ts.Setenv(variable, strings.TrimPrefix(server.URL, "http://"))
}
