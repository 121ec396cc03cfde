package cli

import (
	"errors"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// problem is a kind of error of an operation of the packages below cli. They know
// no flags.
type problem struct {
	op   string
	kind fault.Kind
}

// flagHints says by which flags a person gives what an operation was missing; %s is
// the error's subject.
func flagHints() map[problem]string {
	return map[problem]string{
		{"ingress.dial", fault.Transient}:    "--ingress HOST:PORT or KN_LITE_INGRESS names it",
		{"ingress.private", fault.Failure}:   "--ingress HOST:PORT names the address, e.g. --ingress localhost:8080",
		{"cluster.ingress", fault.Transient}: "--ingress HOST:PORT or the setting `ingress` names it",
		{"invoke", fault.Conflict}:           "kn-lite deploy --tag NAME gives a revision its tag",

		{"deploy.revision", fault.Usage}:          "choose another --revision, or omit it for the next number",
		{"deploy.tag", fault.Usage}:               "choose another --tag",
		{"deploy.variable", fault.Usage}:          "see --env",
		{"deploy.name", fault.Conflict}:           "without --revision it is the next number",
		{"app.service", fault.Usage}:              "name it with --service NAME, or go to the function's folder",
		{"app.image", fault.Usage}:                "name it with --image REF",
		{"app.registry", fault.Usage}:             "or name the image: --image REGISTRY/%s",
		{"app.sign", fault.Usage}:                 "add --push, or sign later: kn-lite push --sign-key",
		{"app.push", fault.Usage}:                 "add --push, and omit -o oci:, -o tar: and --dry-run",
		{"app.explain", fault.Usage}:              "omit --explain; a Dockerfile says itself what is done, and a build names the steps that it took from the cache",
		{"app.verify", fault.Usage}:               "--no-cache builds without one",
		{"app.verify-key", fault.Usage}:           "or --verify-key FILE, and for image verify --key FILE",
		{"app.signed", fault.Conflict}:            "--sign-key KEY does",
		{"push.origin", fault.Conflict}:           "build it here: kn-lite build --push\nto carry an image from one machine to another: kn-lite build -o oci:OUT, and there kn-lite push oci:OUT",
		{"builder.cluster", fault.NotFound}:       "--builder chooses a builder, --file names a Dockerfile",
		{"builder.kaniko", fault.NotFound}:        "--builder chooses a builder, --file names a Dockerfile",
		{"builder.cluster", fault.Usage}:          "--builder dockerfile builds here",
		{"builder.cluster.image", fault.Conflict}: "name one with --builder-image; any kn-lite for linux makes one: kn-lite internal builder-image REGISTRY/kn-lite",
		{"builder.cluster.program", fault.Usage}:  "the cluster runs this program; --builder-image names an image of kn-lite to run instead",
	}
}

// optionFlags returns the flag of each option that a hint of the packages below names
// in braces, as fault.Error says.
func optionFlags() map[string]string {
	return map[string]string{
		"APIPort":               "--api-port",
		"Abort":                 "--abort",
		"AllowMissingCommand":   "--no-start-check",
		"AuthFile":              "--authfile",
		"BaseImage":             "--base-image",
		"Builder":               "--builder",
		"CAFile":                "--registry-ca",
		"Certificates":          "--registry-cert",
		"Context":               "--context",
		"Dockerfile.Args":       "--build-arg",
		"Dockerfile.File":       "--file",
		"Dockerfile.Offline":    "--network",
		"Dockerfile.Repository": "--cache-repo",
		"Dockerfile.Secrets":    "--secret",
		"Dockerfile.Target":     "--target",
		"Env":                   "--env",
		"Force":                 "--force",
		"Image":                 "--image",
		"Insecure":              "--insecure-registry",
		"Kubeconfig":            "--kubeconfig",
		"Language":              "--language",
		"NoProvenance":          "--provenance=false",
		"NoSBOM":                "--sbom=false",
		"Outputs":               "--output",
		"PasswordStdin":         "--password-stdin",
		"Path":                  "--path",
		"Platforms":             "--platform",
		"Pod.Image":             "--builder-image",
		"Pod.Namespace":         "--builder-namespace",
		"Pod.Resources":         "--builder-resources",
		"Port":                  "--port",
		"Purge":                 "--purge",
		"Push":                  "--push",
		"Revision":              "--revision",
		"Scale.Min":             "--scale-min",
		"SignKey":               "--sign-key",
		"Signal":                "--signal",
		"Steps":                 "--steps",
		"Timeout":               "--timeout",
		"To":                    "--to",
	}
}

// subjectOptions returns by operation the option whose value is the subject of its errors.
func subjectOptions() map[string]string {
	return map[string]string{
		"builder.choose":         "Builder",
		"clusterbuild.resources": "Pod.Resources",
		"dockerfile.target":      "Dockerfile.Target",
		"invoke.path":            "Path",
	}
}

// nameFlags puts flags into a text in place of the options that it names.
func nameFlags(text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	var pairs []string
	for option, flag := range optionFlags() {
		pairs = append(pairs, "{"+option+"}", flag)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// hintOf returns what a person can do about err: what the error says, and which
// flags there are for it.
func hintOf(err error) string {
	hint := nameFlags(fault.HintOf(err))
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return hint
	}
	return strings.Trim(hint+"\n"+strings.ReplaceAll(flagHints()[problem{e.Op, e.Kind}], "%s", e.Subject), "\n")
}
