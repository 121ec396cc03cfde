package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// runSettings reads what func.yaml says about a process: anew for each build of it,
// since the file may be saved too.
type runSettings struct {
	factory  *Factory
	options  *runOptions
	name     string
	progress progress.Reporter // says each note and warning once, however often the function is built
}

// read returns what to build, and the variables of the process.
func (s *runSettings) read() (build.Spec, []string, error) {
	project, err := app.FindProject(s.options.Dir)
	if err != nil {
		return build.Spec{}, nil, err
	}
	spec, err := s.factory.App().ProcessSpec(s.options.Dir, project)
	if err != nil {
		return build.Spec{}, nil, err
	}
	spec.Progress = s.progress
	env := []string{"K_SERVICE=" + s.name, "K_CONFIGURATION=" + s.name, "K_REVISION=" + s.name + "-local"}
	if project != nil {
		for _, w := range project.Warnings {
			s.progress.Warn(w.String())
		}
		more, err := s.variables(project)
		if err != nil {
			return build.Spec{}, nil, err
		}
		env = append(env, more...)
	}
	for _, e := range s.options.Env {
		name, _, set := strings.Cut(e, "=")
		if !set {
			name = strings.TrimSuffix(e, "-")
		}
		env = slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
		if set {
			env = append(env, e)
		}
	}
	return spec, env, nil
}

// variables are func.yaml's run.envs as far as this machine has them.
func (s *runSettings) variables(project *function.Function) ([]string, error) {
	var out []string
	values := map[string]string{}
	for _, env := range project.Run.Envs {
		value, err := s.factory.App().LocalValue("run.envs: "+env.Name, env.Value)
		if err != nil {
			return nil, err
		}
		if value.Origin != function.Literal {
			s.missing("run.envs: "+env.Name, value.String())
			continue
		}
		text := expandReferences(value.Text, values)
		values[env.Name] = text
		out = append(out, env.Name+"="+text)
	}
	for _, v := range project.Run.Volumes {
		s.missing("run.volumes: "+v.Path, "the volume")
	}
	return out, nil
}

// missing warns of what only a cluster has.
func (s *runSettings) missing(what, value string) {
	s.progress.Warn(fmt.Sprintf("%s: %s is the cluster's and not here; for this run set variables with --env NAME=VALUE", strings.TrimSuffix(what, ": "), value))
}

// expandReferences puts in the values of variables that stand before, where a value
// has $(NAME), as Kubernetes does; $$ is one $, and what is not known stays.
func expandReferences(text string, values map[string]string) string {
	var out strings.Builder
	for text != "" {
		before, after, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			break
		}
		name, rest, closed := strings.Cut(strings.TrimPrefix(after, "("), ")")
		value, known := values[name]
		switch {
		case strings.HasPrefix(after, "$"):
			out.WriteString("$")
			text = after[1:]
		case strings.HasPrefix(after, "(") && closed && known:
			out.WriteString(value)
			text = rest
		default:
			out.WriteString("$")
			text = after
		}
	}
	return out.String()
}
