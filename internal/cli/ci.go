package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/ci"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

// dotenvFile is the dotenv report for GitLab, in the project's folder: reports from
// elsewhere are not taken. By its prefix no build takes it for a file of the project.
const dotenvFile = atomicfile.TempPrefix + "outputs.env"

// addPipelineFlags registers what pipelines ask for.
func addPipelineFlags(root *cobra.Command, f *Factory) {
	flags := root.PersistentFlags()
	flags.StringVar(&f.Flags.CI, "ci", ci.Auto, "outputs and annotations for a CI system: auto, github, gitlab or none")
	flags.StringVar(&f.Flags.ResultFile, "result-file", "", "write the answer or the error, and the exit code, to this `FILE` as JSON")
	// Both names are registered above, so an error here cannot happen.
	_ = root.RegisterFlagCompletionFunc("ci", cobra.FixedCompletions(ci.Names(), cobra.ShellCompDirectiveNoFileComp))
	_ = root.MarkPersistentFlagFilename("result-file")
}

// commandResult is what --result-file holds.
type commandResult struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Command    string       `json:"command"`
	ExitCode   int          `json:"exitCode"`
	Answer     any          `json:"answer"` // as with -o json; null when there was none
	Error      *errorReport `json:"error"`  // null when nothing failed
}

// conclude tells pipelines how a command has ended, and returns its exit code. What
// cannot be written is a failure of a command that had none.
func conclude(ctx context.Context, f *Factory, cmd *cobra.Command, err error, code int) int {
	if outputGone(err) {
		err = nil
	}
	command := program
	if cmd != nil {
		command += strings.TrimPrefix(cmd.CommandPath(), cmd.Root().DisplayName())
	}
	if cmd != nil && cmd.DisableFlagParsing {
		return code // cobra's own completion: the flags are what somebody is typing
	}
	failed := []error{writeResult(f, command, err, code), writeOutputs(ctx, f, command, err, code)}
	if unwritten := errors.Join(failed...); unwritten != nil {
		own := f.report(ctx, unwritten)
		if code == 0 {
			return own
		}
	}
	return code
}

func writeResult(f *Factory, command string, err error, code int) error {
	file := f.Flags.ResultFile
	if err != nil { // of a command line that could not be read to its end
		file = givenFlag(f, file, "--result-file")
	}
	if file == "" {
		return nil
	}
	result := commandResult{APIVersion: apiVersion, Kind: "Result", Command: command, ExitCode: code, Answer: f.answered}
	if err != nil {
		report := errorReportOf(withFlags(err), code)
		result.Error = &report
	}
	raw, err := json.MarshalIndent(result, "", "  ")
	if err == nil {
		err = atomicfile.Write(file, append(raw, '\n'), atomicfile.Options{Mode: 0o644, FollowLink: true, Given: true})
	}
	if err != nil {
		return fault.New(fault.Failure, "result.write", file, "the result cannot be written: %w", pathCause(err)).WithHint("the folder of --result-file has to exist")
	}
	return nil
}

// pathCause is an error without the name of a temporary file.
func pathCause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}

// writeOutputs hands the answer on to the steps and jobs that follow, and shows an error
// where the CI system shows errors.
func writeOutputs(ctx context.Context, f *Factory, command string, err error, code int) error {
	system, unknown := ci.Choose(f.Flags.CI, f.Sys.Env)
	if unknown != nil || system == ci.None || f.answered == nil && err == nil {
		return nil // the flag has been refused already
	}
	outputs := append(ci.Outputs(f.answered), ci.Output{Name: "exit-code", Value: strconv.Itoa(code)})
	if system == ci.GitLab {
		return addDotenv(f, outputs)
	}
	if err != nil && signalCode(ctx) == 0 && !f.IO.Events() {
		for _, a := range annotations(f, command, withFlags(err)) {
			f.IO.Line(a.GitHub())
		}
	}
	failed := []error{appendTo(f.Sys.Env("GITHUB_OUTPUT"), ci.GitHubOutput(outputs, "kn-lite-"+rand.Text()))}
	switch {
	case err != nil:
		failed = append(failed, appendTo(f.Sys.Env("GITHUB_STEP_SUMMARY"), ci.Summary(command+": exit code "+strconv.Itoa(code), nil, err.Error(), hintOf(err))))
	case isNews(f.answered):
		failed = append(failed, appendTo(f.Sys.Env("GITHUB_STEP_SUMMARY"), ci.Summary(command, outputs, "", "")))
	}
	return errors.Join(failed...)
}

// isNews reports whether an answer belongs on the page of a run: commands that only
// look would fill it.
func isNews(answer any) bool {
	raw, err := json.Marshal(answer)
	var head struct {
		Kind    string `json:"kind"`
		Changed *bool  `json:"changed"`
	}
	if err != nil || json.Unmarshal(raw, &head) != nil {
		return false
	}
	return slices.Contains([]string{"BuiltImage", "PushedImage", "Deployment", "Preview", "Rollout", "ColdStart", "DeletedRevisions", "RemovedPreviews"}, head.Kind) || head.Changed != nil && *head.Changed
}

func appendTo(file, text string) error {
	if file == "" {
		return nil
	}
	out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = out.WriteString(text)
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		return fault.New(fault.Failure, "ci.write", file, "the outputs for the CI system cannot be written: %w", pathCause(err)).WithHint("--ci none writes none")
	}
	return nil
}

// addDotenv brings the dotenv report up to date.
func addDotenv(f *Factory, outputs []ci.Output) error {
	file := filepath.Join(f.Sys.Env("CI_PROJECT_DIR"), dotenvFile)
	before, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = atomicfile.Write(file, []byte(ci.Dotenv(string(before), outputs)), atomicfile.Options{Mode: 0o644})
	}
	if err != nil {
		return fault.New(fault.Failure, "ci.write", file, "the outputs for the CI system cannot be written: %w", pathCause(err)).WithHint("--ci none writes none")
	}
	return nil
}

// annotations returns an error as what it says of each place.
func annotations(f *Factory, command string, err error) []ci.Annotation {
	if invalid, ok := errors.AsType[*function.InvalidError](err); ok {
		out := make([]ci.Annotation, len(invalid.Problems))
		for i, p := range invalid.Problems {
			out[i] = ci.Annotation{File: inWorkspace(f, p.File), Line: p.Line, Col: p.Col, Title: command, Message: strings.TrimPrefix(p.String(), p.Where()+": ")}
		}
		return out
	}
	a := ci.Annotation{Title: command, Message: err.Error()}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		if m := regexp.MustCompile(`^(.+?):(\d{1,9})(?::(\d{1,9}))?$`).FindStringSubmatch(e.Subject); m != nil && isFile(m[1]) {
			a.File = inWorkspace(f, m[1])
			a.Line, _ = strconv.Atoi(m[2])
			a.Col, _ = strconv.Atoi(m[3])
			a.Message = strings.TrimPrefix(a.Message, e.Subject+": ")
		}
	}
	if hint := hintOf(err); hint != "" {
		a.Message += "\n" + hint
	}
	return []ci.Annotation{a}
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// inWorkspace is a file as the CI system knows it: from the top of the repository.
func inWorkspace(f *Factory, file string) string {
	top := f.Sys.Env("GITHUB_WORKSPACE")
	if top == "" {
		return filepath.ToSlash(file)
	}
	if !filepath.IsAbs(file) {
		if dir, err := f.Sys.Dir(); err == nil {
			file = filepath.Join(dir, file)
		}
	}
	if rel, err := filepath.Rel(top, file); err == nil && filepath.IsLocal(rel) {
		file = rel
	}
	return filepath.ToSlash(file)
}
