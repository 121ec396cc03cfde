package credentials

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// runHelper asks docker-credential-NAME, as
// https://github.com/docker/docker-credential-helpers describes.
func runHelper(ctx context.Context, helper, server string, p place) (Credential, error) {
	program := "docker-credential-" + helper
	from := program + " (named in " + p.label + ")"
	if strings.ContainsAny(helper, `/\`) {
		return Credential{}, fault.New(fault.Auth, "registry.credentials", p.label, "the credential helper %q is no plain name", helper)
	}
	cmd := exec.CommandContext(ctx, program, "get")
	cmd.Stdin = strings.NewReader(server)
	// stderr may hold secrets and is not shown; helpers report on stdout.
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		// The protocol has no code for "not found", only this sentence.
		if strings.Contains(out.String(), "credentials not found") {
			return Credential{}, nil
		}
		return Credential{}, fault.New(fault.Auth, "registry.credentials", from, "the helper for %s does not answer: %w", server, err).
			WithHint("run `echo %s | %s get` to see what is wrong with it", server, program)
	}
	var reply struct{ Username, Secret string }
	if err := json.Unmarshal(out.Bytes(), &reply); err != nil {
		return Credential{}, fault.New(fault.Auth, "registry.credentials", from, "the helper's answer is not JSON")
	}
	if reply.Username == "<token>" {
		return Credential{IdentityToken: reply.Secret, From: from}, nil
	}
	return Credential{User: reply.Username, Password: reply.Secret, From: from}, nil
}

// callHelper gives docker-credential-NAME something to store or erase.
func callHelper(ctx context.Context, helper, verb string, input []byte, p place) error {
	program := "docker-credential-" + helper
	if strings.ContainsAny(helper, `/\`) {
		return fault.New(fault.Auth, "registry.credentials", p.label, "the credential helper %q is no plain name", helper)
	}
	cmd := exec.CommandContext(ctx, program, verb)
	cmd.Stdin = bytes.NewReader(input)
	// What it prints may hold secrets and is not shown.
	if err := cmd.Run(); err != nil {
		return fault.New(fault.Auth, "registry.credentials", program, "it cannot %s the credentials: %w", verb, err).
			WithHint("%s names this helper; take it out there to keep credentials in the file itself", p.label)
	}
	return nil
}
