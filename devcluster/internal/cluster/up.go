package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/devcluster/internal/cgroup"
	"github.com/kn-lite/kn-lite/devcluster/internal/debian"
	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/node"
	"github.com/kn-lite/kn-lite/devcluster/internal/parts"
	"github.com/kn-lite/kn-lite/devcluster/internal/pki"
	"github.com/kn-lite/kn-lite/devcluster/internal/preflight"
	"github.com/kn-lite/kn-lite/devcluster/internal/state"
)

// lift is one run of Up.
type lift struct {
	host     Host
	options  Options
	progress progress
	facts    preflight.Facts
	cache    string
	set      parts.Set
	record   *state.Record
	// fresh: this run made the instance's folder.
	fresh bool
	// booted: this run made the machine.
	booted    bool
	spec      node.Spec
	listeners instance.Listeners
}

// Up brings the named cluster up and returns its record once a Knative service can
// be created. What runs already is kept; what has died is started again. When it
// fails or ctx ends, what this run started is stopped, unless KeepOnFailure is set.
func Up(ctx context.Context, host Host, options Options) (*state.Record, error) {
	if err := instance.CheckName(options.Name); err != nil {
		return nil, err
	}
	facts, err := preflight.Look()
	if err != nil {
		return nil, &fault.Error{Op: "check this machine", Err: err}
	}
	if err := preflight.Check(facts); err != nil {
		return nil, err
	}
	home, err := host.home()
	if err != nil {
		return nil, err
	}
	release, err := state.Lock(home, options.Name)
	if err != nil {
		return nil, err
	}
	l := &lift{
		host: host, options: options, facts: facts,
		progress: progress{w: host.Log, now: host.Now, begun: host.Now()},
	}
	if l.cache, err = host.Cache(); err == nil {
		err = l.run(ctx, filepath.Join(home, options.Name))
	}
	if err != nil && l.record != nil {
		err = l.giveUp(err)
	}
	if err := errors.Join(err, release()); err != nil {
		return nil, err
	}
	return l.record, nil
}

func (l *lift) run(ctx context.Context, folder string) (err error) {
	if err := l.open(folder); err != nil {
		return err
	}
	if up, err := l.complete(ctx); err != nil {
		return err
	} else if up {
		l.progress.say("%s is up already", l.options.Name)
		return nil
	}
	packages, err := l.install(ctx)
	if err != nil {
		return err
	}
	done := l.progress.phase("compiled parts")
	if l.set, err = parts.Ensure(ctx, l.cache, l.host.Log); err != nil {
		return err
	}
	done()
	// From here the clock counts what `up` takes with everything cached.
	l.progress.begun = l.host.Now()

	done = l.progress.phase("machine")
	defer func() { err = errors.Join(err, l.listeners.Close()) }()
	if err := l.settle(folder, packages); err != nil {
		return err
	}
	if err := l.describe(); err != nil {
		return err
	}
	m, err := l.boot(ctx)
	if err != nil {
		return err
	}
	done()
	return l.start(ctx, m)
}

// open reads the record of an instance that is there already.
func (l *lift) open(folder string) error {
	r, err := state.Load(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := current(r); err != nil {
		return err
	}
	l.record = r
	return nil
}

// complete reports whether everything of the instance runs and works.
func (l *lift) complete(ctx context.Context) (bool, error) {
	if l.record == nil || l.record.Machine == nil {
		return false, nil
	}
	status, err := Look(ctx, l.record)
	return status.Healthy, err
}

// install brings missing programs from the distribution.
func (l *lift) install(ctx context.Context) ([]string, error) {
	finder := debian.Finder{Path: filepath.SplitList(l.host.Env("PATH"))}
	missing := finder.Missing(debian.Programs())
	packages := debian.Packages(missing)
	if len(packages) == 0 {
		return nil, nil
	}
	l.progress.say("installing %s", strings.Join(packages, " "))
	done := l.progress.phase("Debian packages")
	if err := debian.Install(ctx, packages, l.host.Log); err != nil {
		return nil, err
	}
	done()
	if still := finder.Missing(debian.Programs()); len(still) > 0 {
		return nil, &fault.Error{
			Op: "find program", Subject: still[0].Name, Err: errors.New("it is not there, although package " + still[0].Package + " is installed"),
			Hint: "it " + still[0].Why + "; put it into PATH",
		}
	}
	return packages, nil
}

// settle gives the instance its folder, address and ports, and records it before
// anything else is made.
func (l *lift) settle(folder string, packages []string) error {
	if l.record == nil {
		candidates := instance.Candidates()
		if l.options.Address.IsValid() {
			candidates = []netip.Addr{l.options.Address}
		}
		i := instance.Instance{Name: l.options.Name, Folder: folder}
		var err error
		if i.Address, l.listeners, i.Ports, err = instance.Choose(candidates, l.options.Ports); err != nil {
			return err
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		l.fresh = true
		l.record = &state.Record{FastAutoscaler: l.options.FastAutoscaler, Instance: i}
		if err := current(l.record); err != nil {
			return err
		}
	} else if relay, ok := l.record.Component(node.Relay); !ok || !relay.ID.Alive() {
		var err error
		i := l.record.Instance
		if l.listeners, _, err = instance.Listen(i.Address, i.Ports); err != nil {
			return &fault.Error{
				Op: "open the cluster's ports again", Subject: i.Address.String(), Err: err,
				Hint: "end what took them, or take the cluster down and up again for others",
			}
		}
	}
	l.record.Packages = append(l.record.Packages, packages...)
	l.record.Node = l.set.Node
	return l.record.Save()
}

// describe works out the node's specification and writes its files.
func (l *lift) describe() error {
	i := l.record.Instance
	find := func(name string) string {
		for _, p := range debian.Programs() {
			if p.Name == name {
				return debian.Finder{Path: filepath.SplitList(l.host.Env("PATH"))}.Find(p)
			}
		}
		return ""
	}
	l.spec = node.Spec{
		Instance: i,
		Binaries: node.Binaries{
			Node: l.inside(l.set.Node), Traefik: l.inside(l.set.Traefik),
			Etcd: find("etcd"), Containerd: find("containerd"), CNI: filepath.Dir(find("ptp")),
		},
		CgroupV1:    cgroup.V1(l.facts.Cgroups),
		Snapshotter: snapshotter(i.Folder),
	}
	for _, image := range l.set.Images {
		if image.Name == parts.PauseImage {
			l.spec.PauseImage = i.Registry() + "/" + image.Name + "@" + image.Digest
		}
	}
	if l.spec.PauseImage == "" {
		return &fault.Error{Op: "find image", Subject: parts.PauseImage, Err: errors.New("the compiled parts have none of this name")}
	}
	if err := pki.Issue(i.Path("pki"), l.host.Now(), node.Certificates(i)); err != nil {
		return err
	}
	files, err := l.spec.Files()
	if err != nil {
		return err
	}
	for _, name := range node.Kubeconfigs() {
		if files["pki/"+name+".kubeconfig"], err = pki.Kubeconfig(i.Path("pki"), name, name, node.APIURL()); err != nil {
			return err
		}
	}
	if files[KubeconfigFile], err = pki.Kubeconfig(i.Path("pki"), node.Admin, "devcluster-"+i.Name, "https://"+i.API()); err != nil {
		return err
	}
	for name, text := range files {
		path := i.Path(filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		// A running kube-proxy ends when its file is written to, even with the same text.
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, text) {
			continue
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// giveUp stops what a failed run has started and says what stays.
func (l *lift) giveUp(cause error) error {
	name := l.record.Instance.Name
	if l.options.KeepOnFailure {
		l.progress.say("kept as it is; `devcluster down --name %s` takes it away", name)
		return cause
	}
	if !l.booted && l.record.Machine != nil && l.record.Machine.Alive() {
		// It ran before this run; what has been started in it since is on record.
		l.progress.say("what was running goes on; `devcluster status --name %s` shows what is missing", name)
		return cause
	}
	// The caller's context may be what ended this run.
	ctx, cancel := context.WithTimeout(context.Background(), downTime)
	defer cancel()
	logs := ""
	interrupted := errors.Is(cause, context.Canceled)
	if l.fresh && (interrupted || l.record.Machine == nil) {
		if err := takeDown(ctx, l.record); err != nil {
			return errors.Join(cause, err)
		}
		if !interrupted {
			return cause
		}
		return &fault.Error{Op: "bring up", Subject: name, Err: cause, Hint: "what this run had made is gone again"}
	}
	if l.record.Machine != nil {
		if err := l.record.Machine.Halt(ctx); err != nil {
			return errors.Join(cause, err)
		}
		logs = fmt.Sprintf("everything is stopped; the logs stay in %s until `devcluster down --name %s`", l.record.Instance.Path("logs"), name)
	}
	var f *fault.Error
	if errors.As(cause, &f) && f.Hint != "" {
		logs = strings.TrimSpace(f.Hint + "\n" + logs)
		cause = errors.New(strings.TrimSuffix(cause.Error(), "\n  "+strings.ReplaceAll(f.Hint, "\n", "\n  ")))
	}
	return &fault.Error{Op: "bring up", Subject: name, Err: cause, Hint: logs}
}

// readyTime bounds the start of everything; a machine that is busy compiling needs
// several times the usual.
const readyTime = 5 * time.Minute

// downTime bounds the way down.
const downTime = 30 * time.Second
