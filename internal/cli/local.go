package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local"
	"github.com/kn-lite/kn-lite/internal/settings"
)

func newLocalCmd(f *Factory) *cobra.Command {
	cmd := newGroupCmd("local", "The platform that kn-lite brings along, for when there is no cluster", groupStart,
		newLocalUpCmd(f, nil),
		newLocalStatusCmd(f),
		newLocalLogsCmd(f),
		newLocalDownCmd(f, nil),
		newLocalTopCmd(f),
		newLocalDashboardCmd(f),
		newLocalUnitCmd(f),
	)
	cmd.Long = `Local is Knative without Kubernetes: this program serves the Knative Serving API
on loopback, runs revisions from their images, splits traffic, scales to zero and
back. deploy, traffic, logs and the rest work on it as on a cluster, and so do kn
and kubectl, under the context ` + cluster.LocalContext + `.`
	cmd.Example = `  kn-lite local up -d
  kn-lite func create hello -l go && cd hello
  kn-lite deploy
  kn-lite local down`
	return cmd
}

// localPlace is the folder of this user's platform.
func (f *Factory) localPlace() local.Place {
	dir := settings.StateDir(f.Sys.Env)
	if dir == "" {
		return local.Place{}
	}
	return local.Place{Dir: filepath.Join(dir, "local")}
}

// localRunning is the platform that runs; one that does not is an error.
func localRunning(f *Factory) (*local.Info, error) {
	info, err := f.localPlace().Running()
	if err == nil && info == nil {
		err = fault.New(fault.NotFound, "local.find", "", "the platform of this machine does not run").WithHint("start it with `kn-lite local up`")
	}
	return info, err
}

// localInfo is what -o json shows of a platform.
type localInfo struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Running    bool   `json:"running"`
	Context    string `json:"context,omitempty"`
	PID        int    `json:"pid,omitempty"`
	Started    string `json:"started,omitempty"` // RFC 3339
	Version    string `json:"version,omitempty"`
	API        string `json:"api,omitempty"`      // URL
	URL        string `json:"url,omitempty"`      // of the dashboard, with the key to it
	Registry   string `json:"registry,omitempty"` // host:port
	Isolated   bool   `json:"isolated"`           // instances run in sandboxes
	Network    string `json:"network,omitempty"`
	Folder     string `json:"folder"`
}

func describeLocal(f *Factory, info *local.Info) localInfo {
	out := localInfo{APIVersion: apiVersion, Kind: "LocalPlatform", Folder: f.localPlace().Dir}
	if info == nil {
		return out
	}
	out.Running, out.Context, out.PID, out.Version = true, cluster.LocalContext, info.PID, info.Version
	out.Started = info.Started.UTC().Format("2006-01-02T15:04:05Z")
	out.API, out.URL, out.Registry = info.API, info.Dashboard(), info.Registry()
	out.Isolated, out.Network = info.Isolated, info.Network
	return out
}
