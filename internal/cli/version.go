package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the release build with -ldflags -X; `go install` and plain
// builds leave it empty and the module's own version is shown.
var version string

type versionInfo struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Version    string `json:"version"`
	Commit     string `json:"commit,omitempty"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
}

func newVersionCmd(f *Factory) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Example: `  kn-lite version
  kn-lite version -o jsonpath={.version}`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			info := currentVersion()
			return f.print(answer{
				Object: info,
				Names:  []string{info.Version},
				Table: func() error {
					return f.IO.Answer("kn-lite %s (%s, %s)", info.Version, info.Go, info.Platform)
				},
			})
		},
	}
}

func currentVersion() versionInfo {
	info := versionInfo{
		APIVersion: apiVersion, Kind: "Version", Version: version,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	if info.Version == "" {
		info.Version = build.Main.Version
	}
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" {
			info.Commit = s.Value
		}
	}
	return info
}
