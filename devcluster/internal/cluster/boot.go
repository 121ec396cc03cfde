package cluster

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/kn-lite/kn-lite/devcluster/internal/cgroup"
	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
	"github.com/kn-lite/kn-lite/devcluster/internal/machine"
)

// cacheInside is where the folder of compiled parts appears in the machine.
const cacheInside = "/run/kn-lite-cache"

func (l *lift) inside(path string) string {
	rel, err := filepath.Rel(l.cache, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return filepath.Join(cacheInside, rel)
}

// boot makes the cgroup and the machine, unless they are there.
func (l *lift) boot(ctx context.Context) (machine.Machine, error) {
	i := l.record.Instance
	for _, h := range l.facts.Cgroups {
		l.record.Cgroups = appendNew(l.record.Cgroups, filepath.Join(h.Mount, i.Cgroup()))
	}
	if err := l.record.Save(); err != nil {
		return machine.Machine{}, err
	}
	if l.record.Machine == nil || !l.record.Machine.Alive() {
		if err := l.clearRemains(ctx); err != nil {
			return machine.Machine{}, err
		}
	}
	if _, err := cgroup.Make(l.facts.Cgroups, i.Cgroup()); err != nil {
		return machine.Machine{}, &fault.Error{Op: "make cgroup", Subject: i.Cgroup(), Err: err}
	}
	if l.record.Machine != nil && l.record.Machine.Alive() {
		return *l.record.Machine, nil
	}
	l.booted = true
	log, err := openLog(l.record, "machine")
	if err != nil {
		return machine.Machine{}, err
	}
	defer log.Close()
	cmd := itself(i, "init")
	cmd.Stderr = log
	m, err := machine.Boot(ctx, cmd, l.spec.Setup(machine.Bind{Source: l.cache, Target: cacheInside}), func(m machine.Machine) error {
		l.record.Machine, l.record.Components = &m, nil
		return l.record.Save()
	})
	if err != nil {
		return m, &fault.Error{
			Op: "make the machine", Subject: i.Name, Err: err,
			Hint: "see " + LogFile(l.record, "machine") + "; in a container, start it privileged",
		}
	}
	return m, nil
}

// clearRemains removes what a machine that was killed has left behind and a new one
// would stumble over: pods' cgroups (cAdvisor spends three seconds on each that has no
// container any more) and the kubelet's notes about volumes that are not mounted.
func (l *lift) clearRemains(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, downTime)
	defer cancel()
	if err := cgroup.Remove(ctx, l.record.Cgroups); err != nil {
		return &fault.Error{
			Op: "remove old cgroups", Subject: l.record.Instance.Name, Err: err,
			Hint: "`devcluster down` says what holds them",
		}
	}
	return os.RemoveAll(l.record.Instance.Path("kubelet"))
}

func appendNew(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}
