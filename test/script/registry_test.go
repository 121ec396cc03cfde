package script

import (
	"crypto/tls"
	"flag"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
)

// registryCommands are the script commands that start registries on loopback.
// Each lives until its script ends.
func registryCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"base":     baseCommand,
		"registry": startRegistry,
		"envfile":  expandFile,
	}
}

const registryUsage = "usage: registry [-auth basic|bearer] [-tls] [-expired] [-mtls] [-no-referrers] [VARIABLE] ['ACTION on REQUEST [always]' …]"

// testValue is the key under which isolate leaves the script's own test.
type testValue struct{}

// startRegistry starts an empty registry and stores its host:port in $REGISTRY,
// or in the variable that is named. With -auth it accepts ada with the password
// lovelace; with -tls its certificate is signed by an authority whose own
// certificate is in the file VARIABLE.pem; with -mtls it wants a client's too,
// which is in VARIABLE-client.crt and VARIABLE-client.key; with -no-referrers it is
// one of before OCI 1.1. Faults that never fire fail the script.
func startRegistry(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("registry", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	auth := flags.String("auth", "", "")
	secure := flags.Bool("tls", false, "")
	expired := flags.Bool("expired", false, "")
	old := flags.Bool("no-referrers", false, "")
	mutual := flags.Bool("mtls", false, "")
	if err := flags.Parse(args); err != nil || neg {
		ts.Fatalf(registryUsage)
	}
	args = flags.Args()
	variable := "REGISTRY"
	if len(args) > 0 && !strings.Contains(args[0], " on ") {
		variable, args = args[0], args[1:]
	}
	var faults []regtest.Fault
	for _, text := range args {
		fault, err := regtest.ParseFault(text)
		ts.Check(err)
		faults = append(faults, fault)
	}
	server := regtest.New(faults...)
	server.Auth, server.User, server.Password = *auth, "ada", "lovelace"
	server.NoReferrers = *old
	var config *tls.Config
	if *secure || *expired || *mutual {
		config = newCertificate(ts, variable, *expired, *mutual)
	}
	address, stop, err := regtest.Listen(server, config)
	ts.Check(err)
	ts.Defer(func() {
		stop()
		for _, fault := range server.Unfired() {
			// ts.Fatalf is for commands; this runs when the script is over.
			if t, ok := ts.Value(testValue{}).(interface{ Errorf(string, ...any) }); ok {
				t.Errorf("the fault never fired, the script is broken: %s", fault)
			}
		}
	})
	ts.Setenv(variable, address)
}

func newCertificate(ts *testscript.TestScript, variable string, expired, mutual bool) *tls.Config {
	authority, err := regtest.NewAuthority()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(variable+".pem"), authority.PEM, 0o600))
	if mutual {
		cert, key, err := authority.Client("ada")
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(variable+"-client.crt"), cert, 0o600))
		ts.Check(os.WriteFile(ts.MkAbs(variable+"-client.key"), key, 0o600))
		config, err := authority.ServeClients("127.0.0.1", "localhost")
		ts.Check(err)
		return config
	}
	until := time.Time{}
	if expired {
		until = time.Date(2020, 2, 29, 0, 0, 0, 0, time.UTC)
	}
	config, err := authority.Serve(until, "127.0.0.1", "localhost")
	ts.Check(err)
	return config
}

// expandFile writes OUT with the variables in IN replaced: `envfile IN OUT`.
func expandFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: envfile IN OUT")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}
