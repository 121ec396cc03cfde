package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// otherToolsFlags are the flags of `kn service update` and of `gcloud run services
// update-traffic` that say how traffic is to be split.
type otherToolsFlags struct {
	Traffic, Tag, Untag []string
	ToRevisions, ToTags []string
	ToLatest            bool
}

func (o *otherToolsFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&o.Traffic, "traffic", nil, "`TARGET=PERCENT`, as in kn; a bare number is the share of @latest")
	flags.StringSliceVar(&o.Tag, "tag", nil, "`TARGET=TAG`: give a tag, as in kn; one that leads elsewhere moves")
	flags.StringSliceVar(&o.Untag, "untag", nil, "`TAG` to remove, as in kn")
	flags.StringSliceVar(&o.ToRevisions, "to-revisions", nil, "`REVISION=PERCENT`, as in gcloud: the others keep their proportions")
	flags.StringSliceVar(&o.ToTags, "to-tags", nil, "`TAG=PERCENT`, as in gcloud: the others keep their proportions")
	flags.BoolVar(&o.ToLatest, "to-latest", false, "all of the traffic to @latest, as in gcloud")
}

// given reports whether any of them is there.
func (o *otherToolsFlags) given(cmd *cobra.Command) bool {
	return slices.ContainsFunc(otherToolsNames(), cmd.Flags().Changed)
}

func otherToolsNames() []string {
	return []string{"traffic", "tag", "untag", "to-revisions", "to-tags", "to-latest"}
}

// fill translates them; args is at most the service.
func (o *otherToolsFlags) fill(cmd *cobra.Command, into *trafficSplitOptions, args []string) error {
	if len(args) == 1 && traffic.HasShare(args[0]) {
		return fault.Usagef("%s: shares are given as arguments or by flags, not by both", args[0])
	}
	if err := serviceArg(&into.Service, args); err != nil {
		return err
	}
	var err error
	if into.Service, err = serviceName(into.Service); err != nil {
		return err
	}
	if len(o.Tag) > 0 {
		if into.Tag, err = traffic.ParseTags(o.Tag); err != nil {
			return err
		}
	}
	into.Untag = o.Untag
	return o.shares(cmd, into)
}

func (o *otherToolsFlags) shares(cmd *cobra.Command, into *trafficSplitOptions) (err error) {
	var given []string
	for _, flag := range []string{"traffic", "to-revisions", "to-tags", "to-latest"} {
		if cmd.Flags().Changed(flag) {
			given = append(given, "--"+flag)
		}
	}
	if len(given) > 1 {
		return fault.Usagef("%s and %s both divide the traffic", given[0], given[1]).WithHint("give one of them")
	}
	switch {
	case len(o.Traffic) > 0:
		into.Edit, err = traffic.Parse(each(o.Traffic, latestByItself))
	case len(o.ToRevisions) > 0:
		into.Rescale = true
		into.Edit, err = traffic.ParsePart(each(o.ToRevisions, latestInCapitals))
	case len(o.ToTags) > 0:
		into.Rescale = true
		into.Edit, err = traffic.ParsePart(each(o.ToTags, func(share string) string { return "tag:" + share }))
	case o.ToLatest:
		into.Edit = traffic.Edit{{Ref: traffic.Latest, Percent: 100}}
	}
	return err
}

func each(in []string, translate func(string) string) []string {
	out := make([]string, len(in))
	for i, text := range in {
		out[i] = translate(text)
	}
	return out
}

// latestByItself: kn takes a number without a target for the share of @latest.
func latestByItself(share string) string {
	if _, err := strconv.Atoi(strings.TrimSuffix(share, "%")); err == nil {
		return traffic.Latest + "=" + share
	}
	return share
}

// latestInCapitals: gcloud calls the latest revision LATEST.
func latestInCapitals(share string) string {
	if percent, ok := strings.CutPrefix(share, "LATEST="); ok {
		return traffic.Latest + "=" + percent
	}
	return share
}

// completeOtherTools offers targets and tags for these flags.
func completeOtherTools(f *Factory, cmd *cobra.Command) {
	targets := completeTargets(f)
	// The flags are registered by the caller, so errors here cannot happen.
	for _, flag := range []string{"traffic", "tag", "to-revisions", "to-tags"} {
		_ = cmd.RegisterFlagCompletionFunc(flag, targets)
	}
	_ = cmd.RegisterFlagCompletionFunc("untag", func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return tagCompletions(f, cmd, args)
	})
}
