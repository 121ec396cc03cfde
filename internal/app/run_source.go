package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// runSource reads what func.yaml says about a process: anew for each build of it,
// since the file may be saved too.
type runSource struct {
	app      *App
	request  *RunRequest
	name     string
	progress progress.Reporter // says each note and warning once, however often the function is built
}

// read returns what to build, and the variables of the process.
func (s *runSource) read() (build.Spec, []string, error) {
	project, err := FindProject(s.request.Dir)
	if err != nil {
		return build.Spec{}, nil, err
	}
	spec, err := s.app.ProcessSpec(s.request.Dir, project)
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
	return spec, override(env, s.request.Variables), nil
}

// override returns env with what the request says about variables.
func override(env []string, variables []Variable) []string {
	for _, v := range variables {
		env = slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, v.Name+"=") })
		if !v.Unset {
			env = append(env, v.Name+"="+v.Value)
		}
	}
	return env
}

// variables are func.yaml's run.envs as far as this machine has them.
func (s *runSource) variables(project *function.Function) ([]string, error) {
	var out []string
	values := map[string]string{}
	for _, env := range project.Run.Envs {
		path := "run.envs: " + env.Name
		value, err := s.app.LocalValue(path, env.Value)
		if err != nil {
			return nil, err
		}
		if value.Origin != function.Literal {
			s.absent(path, value.String())
			continue
		}
		text := expandReferences(value.Text, values)
		values[env.Name] = text
		out = append(out, env.Name+"="+text)
	}
	for _, v := range project.Run.Volumes {
		s.absent("run.volumes: "+v.Path, "the volume")
	}
	return out, nil
}

// absent warns of what only a cluster has.
func (s *runSource) absent(path, value string) {
	text := fmt.Sprintf("%s: %s is the cluster's and not here", strings.TrimSuffix(path, ": "), value)
	if s.request.AbsentHint != "" {
		text += "; " + s.request.AbsentHint
	}
	s.progress.Warn(text)
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
