package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// An empty value is a usage error for each flag of each command, so that a
// variable that is not set in a script never stands for "do as you like".
func TestEmptyValuesAreRefused(t *testing.T) {
	sys, _, _ := testSystem(t)
	exempt := map[string]bool{"kn-lite invoke --data": true}
	flags, commands := 0, 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, child := range cmd.Commands() {
			walk(child)
		}
		if !cmd.Runnable() || cmd.HasSubCommands() {
			return
		}
		commands++
		path := strings.Fields(cmd.CommandPath())[1:]
		cmd.InheritedFlags() // merges those of the parents
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			if flag.Name == "help" || exempt[cmd.CommandPath()+" --"+flag.Name] {
				return
			}
			flags++
			said := ""
			for _, args := range [][]string{nil, {"x"}, {"x", "x"}} { // as many as the command wants
				sys, stdout, stderr := testSystem(t, append(append([]string{}, path...), append(args, "--"+flag.Name+"=")...)...)
				code := Main(context.Background(), sys)
				said = stderr.String()
				if code != 2 || stdout.Len() > 0 {
					t.Errorf("%s --%s=: exit %d: %s", cmd.CommandPath(), flag.Name, code, said)
					return
				}
				if strings.Contains(said, "--"+flag.Name+": the value is empty") || strings.Contains(said, `invalid argument "" for "`) {
					return
				}
			}
			t.Errorf("%s --%s=: %s", cmd.CommandPath(), flag.Name, said)
		})
	}
	root := newRootCmd(newFactory(sys))
	walk(root)
	if commands < 25 || flags < 300 {
		t.Errorf("%d commands and %d flags were tried, the test is broken", commands, flags)
	}
}

func TestEmptyValues(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"deploy", "--image", ""}, "--image: the value is empty"},
		{[]string{"deploy", "--image=", "-s", "hello"}, "--image: the value is empty"},
		{[]string{"deploy", "-s", ""}, "--service: the value is empty"},
		{[]string{"deploy", "-e", "A=1", "-e", ""}, "--env: the value is empty"},
		{[]string{"build", "--platform", "linux/amd64", "--platform", ""}, "--platform: the value is empty"},
		{[]string{"build", "-o", ""}, "--output: the value is empty"},
		{[]string{"build", ""}, "an argument is empty"},
		{[]string{"push", ""}, "an argument is empty"},
		{[]string{"delete", ""}, "an argument is empty"},
		{[]string{"traffic", "split", "hello", "v1=50", "v2=50", "--if-generation", ""}, "if-generation"},
		{[]string{"traffic", "split", "hello", "v1=50", "v2=50", "--if-generation", "0"}, "generations begin at 1"},
		{[]string{"traffic", "split", "hello", "v1=50", "v2=50", "--if-generation", "-1"}, "generations begin at 1"},
		{[]string{"traffic", "split", "hello", "v1=+50", "v2=50"}, "shares are absolute"},
		{[]string{"traffic", "split", "hello", "v1=", "v2=50"}, "the percentage is missing"},
		{[]string{"deploy", "--traffic", "+10"}, "a whole number from 1 to 100"},
		{[]string{"list", "-n", ""}, "--namespace: the value is empty"},
		{[]string{"--kubeconfig", "", "list"}, "--kubeconfig: the value is empty"},
	} {
		sys, stdout, stderr := testSystem(t, tt.args...)
		if code := Main(context.Background(), sys); code != 2 || !strings.Contains(stderr.String(), tt.want) || stdout.Len() > 0 {
			t.Errorf("%q: exit %d: %s", tt.args, code, stderr)
		}
	}
}
