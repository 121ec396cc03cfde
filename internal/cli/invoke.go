package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/ingress"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/term"
)

// invokeTimeout leaves room for a cold start on a busy node.
const invokeTimeout = 2 * time.Minute

type invokeOptions struct {
	Service     string
	Data        string
	File        string
	Method      string
	Headers     []string
	Path        string
	ContentType string
	Tag         string
	Revision    string
	Ingress     string
	Target      string // local, remote or a URL; "" finds out
}

// invocation is what invoke prints as JSON.
type invocation struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	Method     string      `json:"method"`
	URL        string      `json:"url"`
	Address    string      `json:"address"` // what was connected to
	Status     int         `json:"status"`
	Headers    http.Header `json:"headers"`
	Body       string      `json:"body"`
	Millis     int64       `json:"milliseconds"`
}

func newInvokeCmd(f *Factory, runF func(context.Context, *invokeOptions) error) *cobra.Command {
	o := &invokeOptions{}
	cmd := &cobra.Command{
		Use:     "invoke [SERVICE]",
		Short:   "Send one request to a service",
		GroupID: groupDayTwo,
		Long: `Send one request to a service and print the body of the answer on stdout; its
status and how long it took go to stderr. An answer with a status of 400 or more
is printed too, and makes the exit code 1; no answer is 75, or 8 past --timeout.

In a folder whose function runs by kn-lite run, the request goes to that process,
unless a service, a tag, a revision, an ingress or a cluster is named. --target local
insists on the process, --target remote on the service; a URL is asked as it is.

Where DNS does not know the service's host name, the cluster's ingress is asked
for by its address: --ingress, KN_LITE_INGRESS, the setting "ingress", or what
the cluster says about it. Redirects are shown, not followed.`,
		Example: `  kn-lite invoke
  kn-lite invoke hello --data '{"name": "Ada"}'
  kn-lite invoke hello --tag next -X PUT -H 'X-Trace: 1' --path /items/7 --file item.json
  date | kn-lite invoke hello --file -

  # The service, while the function runs here too
  kn-lite invoke --target remote`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeServices(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			return runner(f, runF, runInvoke)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	flags := cmd.Flags()
	flags.StringVarP(&o.Data, "data", "d", "", "send this `TEXT`")
	allowEmpty(cmd, "data")
	flags.StringVar(&o.File, "file", "", "send what is in `FILE`; - is stdin")
	flags.StringVarP(&o.Method, "method", "X", "", "HTTP method (default: GET, or POST with a body)")
	flags.StringArrayVarP(&o.Headers, "header", "H", nil, "`'NAME: VALUE'` to send (repeatable)")
	flags.StringVar(&o.Path, "path", "/", "path and query")
	flags.StringVar(&o.ContentType, "content-type", "", "type of the body (default: application/json if it is that, else text/plain or application/octet-stream)")
	flags.StringVar(&o.Tag, "tag", "", "send it to the URL of this `TAG`")
	flags.StringVar(&o.Revision, "revision", "", "send it to this `REVISION`, which needs a tag or all of the traffic")
	flags.StringVar(&o.Ingress, "ingress", "", "`HOST:PORT` to connect to instead of asking DNS")
	flags.StringVar(&o.Target, "target", "", "`local` (kn-lite run in this folder), remote (the service) or a URL (default: local where it runs, else remote)")
	_ = cmd.MarkFlagFilename("file")
	_ = cmd.RegisterFlagCompletionFunc("target", cobra.FixedCompletions([]string{targetLocal, targetRemote}, cobra.ShellCompDirectiveNoFileComp))
	completeServiceFlag(f, cmd)
	completeRevisionFlag(f, cmd)
	completeTagFlag(f, cmd)
	return cmd
}

func runInvoke(ctx context.Context, f *Factory, o *invokeOptions) error {
	switch {
	case o.Data != "" && o.File != "":
		return fault.Usagef("--data and --file cannot both be the body")
	case o.Tag != "" && o.Revision != "":
		return fault.Usagef("--tag and --revision cannot both say where to")
	}
	header, err := parseHeaders(o.Headers)
	if err != nil {
		return err
	}
	path, err := app.ParsePath(o.Path)
	if err != nil {
		return err
	}
	request := app.InvokeRequest{
		Tag: o.Tag, Revision: o.Revision, Method: o.Method, Path: path, Header: header, ContentType: o.ContentType,
	}
	if o.Ingress != "" {
		if request.Ingress, err = ingress.ParseAddress(o.Ingress); err != nil {
			return fault.Usagef("--ingress %w", err).WithHint("%s", fault.HintOf(err))
		}
	}
	if request.URL, err = directTarget(f, o); err != nil {
		return err
	}
	if request.URL == nil {
		if request.Target, err = f.target(o.Service); err != nil {
			return err
		}
	}
	if request.Body, err = invokeBody(f.IO, o); err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, invokeTimeout)
	defer cancel()
	started := f.Sys.Now()
	response, err := f.App().Invoke(ctx, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return printResponse(f, response, started)
}

// invokeBody is nil when there is nothing to send.
func invokeBody(streams *term.IO, o *invokeOptions) ([]byte, error) {
	switch o.File {
	case "":
		if o.Data == "" {
			return nil, nil
		}
		return []byte(o.Data), nil
	case "-":
		return io.ReadAll(streams.In)
	}
	raw, err := os.ReadFile(o.File)
	if err != nil {
		return nil, fault.Usagef("--file: %w", err)
	}
	return raw, nil
}

func parseHeaders(lines []string) (http.Header, error) {
	header := make(http.Header)
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t\r\n") || strings.ContainsAny(value, "\r\n") {
			return nil, fault.Usagef("--header %q is not 'NAME: VALUE'", line)
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return header, nil
}

// printResponse prints an answer, and makes an error of a status that is one.
func printResponse(f *Factory, r *app.Response, started time.Time) error {
	if f.Flags.Output == "" || f.Flags.Output == "table" {
		n, err := f.IO.Copy(r.Body)
		if err != nil {
			return err
		}
		summary := fmt.Sprintf("%s %s: %s, %s in %s (headers after %s) from %s", r.Method, r.URL, r.Status,
			progress.Bytes(n), progress.Duration(f.Sys.Now().Sub(started)), progress.Duration(r.Waited), r.Address)
		if to := r.Header.Get("Location"); to != "" {
			summary += ", Location: " + to
		}
		if r.StatusCode < http.StatusBadRequest {
			f.IO.Step("%s", summary)
		} else {
			f.IO.Note("%s", summary)
		}
		return r.Fault()
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	err = f.print(answer{Object: invocation{
		APIVersion: apiVersion, Kind: "Response", Method: r.Method, URL: r.URL, Address: r.Address,
		Status: r.StatusCode, Headers: r.Header, Body: string(body), Millis: f.Sys.Now().Sub(started).Milliseconds(),
	}, Names: []string{r.Status}})
	if err != nil {
		return err
	}
	return r.Fault()
}
