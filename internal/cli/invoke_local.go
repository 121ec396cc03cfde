package cli

import (
	"net/url"
	"strings"

	"github.com/kn-lite/kn-lite/internal/devrun"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// Values of --target beside a URL.
const (
	targetLocal  = "local"
	targetRemote = "remote"
)

// directTarget is the URL that a request is sent to without asking a cluster: of the
// function that runs in this folder, or one that was named. nil means the service.
func directTarget(f *Factory, o *invokeOptions) (*url.URL, error) {
	named := namesCluster(f, o)
	switch {
	case o.Target == targetRemote:
		return nil, nil
	case o.Target != "" && named != "":
		return nil, fault.Usagef("--target %s and %s cannot both say where to", o.Target, named)
	case strings.Contains(o.Target, "://"):
		return parseTarget(o.Target)
	case o.Target != "" && o.Target != targetLocal:
		return nil, fault.Usagef("--target %s: use %s, %s or a URL such as http://localhost:8080", o.Target, targetLocal, targetRemote)
	case named != "":
		return nil, nil
	}
	record, err := runHere(f)
	switch {
	case err != nil:
		return nil, err
	case record != nil:
		f.IO.Note("sent to %s, which runs in this folder (process %d); --target remote sends to the service", record.Name, record.PID)
		return url.Parse(record.URL)
	case o.Target == targetLocal:
		return nil, fault.New(fault.NotFound, "invoke", "", "no function runs from this folder").WithHint("start it in another terminal: kn-lite run")
	}
	return nil, nil
}

// namesCluster returns the first argument or flag that means a service of a cluster.
func namesCluster(f *Factory, o *invokeOptions) string {
	for _, flag := range []struct{ name, value string }{
		{"the service " + o.Service, o.Service},
		{"--tag", o.Tag},
		{"--revision", o.Revision},
		{"--ingress", o.Ingress},
		{"--namespace", f.Flags.Namespace},
		{"--context", f.Flags.Context},
		{"--kubeconfig", f.Flags.Kubeconfig},
	} {
		if flag.value != "" {
			return flag.name
		}
	}
	return ""
}

// runHere returns what kn-lite run in this folder has said about itself; nil when
// none runs.
func runHere(f *Factory) (*devrun.Record, error) {
	state := settings.StateDir(f.Sys.Env)
	if state == "" {
		return nil, nil
	}
	dir, err := f.Sys.Dir()
	if err != nil {
		return nil, err
	}
	return devrun.Find(state, dir)
}

// parseTarget reads the URL of --target, whose path is --path's business.
func parseTarget(text string) (*url.URL, error) {
	target, err := url.Parse(text)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" || strings.Trim(target.Path, "/") != "" || target.RawQuery != "" {
		return nil, fault.Usagef("--target %s: not a URL of http or https and a host", text).WithHint("such as http://localhost:8080; the path is --path's")
	}
	return target, nil
}
