package app

import (
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

// projectSpec returns what a func.yaml asks of the cluster. {{ env:NAME }} is
// replaced by the value that it has here and now.
func (a *App) projectSpec(fn *function.Function) (*deploy.Project, error) {
	options := fn.Deploy.Options
	p := &deploy.Project{
		Name:        fn.Name,
		Runtime:     fn.Runtime,
		Annotations: fn.Deploy.Annotations,
		Scale: deploy.Scale{
			Min: options.Scale.Min, Max: options.Scale.Max, Metric: options.Scale.Metric,
			Target: options.Scale.Target, Utilization: options.Scale.Utilization,
		},
		Concurrency: options.Resources.Limits.Concurrency,
		Requests:    quantities(options.Resources.Requests.CPU, options.Resources.Requests.Memory),
		Limits:      quantities(options.Resources.Limits.CPU, options.Resources.Limits.Memory),
		Liveness:    fn.Deploy.HealthEndpoints.Liveness,
		Readiness:   fn.Deploy.HealthEndpoints.Readiness,
		StartBudget: fn.StartBudget(),
		RunAs: deploy.RunAs{
			User: fn.Run.PodSecurityContext.RunAsUser, Group: fn.Run.PodSecurityContext.RunAsGroup,
			NonRoot: fn.Run.PodSecurityContext.RunAsNonRoot,
		},
		Domain:          fn.Domain,
		ClusterLocal:    fn.Deploy.Expose == function.ExposeCluster,
		ServiceAccount:  fn.Deploy.ServiceAccountName,
		ImagePullSecret: fn.Deploy.ImagePullSecret,
	}
	for _, label := range fn.Deploy.Labels {
		value, err := a.LocalValue("deploy.labels: "+label.Key, label.Value)
		if err != nil {
			return nil, err
		}
		if p.Labels == nil {
			p.Labels = make(map[string]string, len(fn.Deploy.Labels))
		}
		p.Labels[label.Key] = value.Text
	}
	for _, env := range fn.Run.Envs {
		value, err := a.LocalValue("run.envs: "+env.Name, env.Value)
		if err != nil {
			return nil, err
		}
		p.Env = append(p.Env, deployVar(env.Name, value))
	}
	for _, v := range fn.Run.Volumes {
		p.Volumes = append(p.Volumes, deployVolume(v))
	}
	return p, nil
}

// LocalValue returns a value of func.yaml with {{ env:NAME }} replaced by what the
// variable is here and now; path says where it stands.
func (a *App) LocalValue(path string, value function.EnvValue) (function.EnvValue, error) {
	local, err := value.Local(func(name string) (string, bool) {
		v := a.Env(name)
		return v, v != ""
	})
	if err != nil {
		return local, fault.New(fault.Usage, "deploy.env", function.File, "%s: %w", path, err).
			WithHint("set the variable where you deploy, or give the value in %s", function.File)
	}
	return local, nil
}

func deployVar(name string, value function.EnvValue) deploy.Var {
	from := map[function.Origin]deploy.Source{
		function.SecretKey: deploy.SecretKey, function.ConfigMapKey: deploy.ConfigMapKey,
		function.AllOfSecret: deploy.AllOfSecret, function.AllOfConfigMap: deploy.AllOfConfigMap,
	}[value.Origin]
	return deploy.Var{Name: name, Value: value.Text, From: from, Object: value.Name, Key: value.Key}
}

func deployVolume(v function.Volume) deploy.Volume {
	out := deploy.Volume{Path: v.Path}
	switch {
	case v.Secret != nil:
		out.Secret = *v.Secret
	case v.ConfigMap != nil:
		out.ConfigMap = *v.ConfigMap
	case v.PersistentVolumeClaim != nil:
		out.Claim, out.ReadOnly = v.PersistentVolumeClaim.ClaimName, v.PersistentVolumeClaim.ReadOnly
	case v.EmptyDir != nil:
		out.EmptyDir, out.Medium, out.SizeLimit = true, v.EmptyDir.Medium, v.EmptyDir.SizeLimit
	}
	return out
}

func quantities(cpu, memory string) map[string]string {
	out := make(map[string]string, 2)
	if cpu != "" {
		out["cpu"] = cpu
	}
	if memory != "" {
		out["memory"] = memory
	}
	return out
}

// localVariables are those whose values come from the environment here, which are often
// secrets of a pipeline.
func localVariables(project *function.Function) map[string]bool {
	out := make(map[string]bool)
	if project == nil {
		return out
	}
	for _, env := range project.Run.Envs {
		if env.Value.Origin == function.LocalEnv {
			out[env.Name] = true
		}
	}
	return out
}
