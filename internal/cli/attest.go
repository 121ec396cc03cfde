package cli

import (
	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
)

// attestFlags say what goes with an image.
type attestFlags struct {
	SBOM       bool
	Provenance bool
	SignKey    string
}

// add gives cmd the flags of every command that pushes.
func (a *attestFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&a.SBOM, "sbom", true, "attach to the image what it is made of (SPDX)")
	flags.BoolVar(&a.Provenance, "provenance", true, "attach to the image how it was made (SLSA)")
	flags.StringVar(&a.SignKey, "sign-key", "", "sign the image with the private key in this `FILE` (default: $KN_LITE_SIGN_KEY, then signKey in the settings)")
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.MarkFlagFilename("sign-key", "key", "pem")
}

// apply sets what the flags say about a build.
func (a *attestFlags) apply(o *app.BuildOptions) {
	o.NoSBOM, o.NoProvenance, o.SignKey = !a.SBOM, !a.Provenance, a.SignKey
}
