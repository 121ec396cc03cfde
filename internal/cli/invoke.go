package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/term"
	"github.com/kn-lite/kn-lite/internal/traffic"
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

func newInvokeCmd(f *Factory) *cobra.Command {
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
		ValidArgsFunction: f.completeServices(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			return runInvoke(cmd.Context(), f, o)
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
	f.completeServiceFlag(cmd)
	f.completeRevisionFlag(cmd)
	f.completeTagFlag(cmd)
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
	path, err := parsePath(o.Path)
	if err != nil {
		return err
	}
	direct, err := f.directTarget(o)
	if err != nil {
		return err
	}
	if direct != nil {
		return f.invokeDirect(ctx, o, direct, path, header)
	}
	service, err := f.serviceName(o.Service)
	if err != nil {
		return err
	}
	body, err := f.invokeBody(o)
	if err != nil {
		return err
	}
	client, err := f.Cluster()
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, invokeTimeout)
	defer cancel()
	snap, known, err := knownTargets(ctx, client.Traffic(), service)
	if err != nil {
		return err
	}
	target, err := targetOf(snap, known, o)
	if err != nil {
		return err
	}
	target.Path, target.RawPath, target.RawQuery = path.Path, path.RawPath, path.RawQuery
	request, err := newRequest(ctx, o, target, body, header)
	if err != nil {
		return err
	}
	dialer, err := f.ingressDialer(client, service, o.Ingress)
	if err != nil {
		return err
	}
	if dialer.private = clusterLocal(target); dialer.private && dialer.fixed == "" && f.Sys.Env("KUBERNETES_SERVICE_HOST") == "" {
		// Addresses of the cluster mean something else out here: nothing is sent to them.
		return privateService(target.Hostname())
	}
	return f.exchange(request, dialer)
}

// ingressDialer connects to where service is served: at the address given by a
// flag, else by the settings, else wherever DNS or the cluster say.
func (f *Factory) ingressDialer(client *cluster.Client, service, flag string) (*ingressDialer, error) {
	fixed, err := f.ingressAddress(flag)
	if err != nil {
		return nil, err
	}
	d := &ingressDialer{fixed: fixed, look: net.DefaultResolver.LookupHost}
	d.find = func(ctx context.Context) ([]string, error) { return client.IngressAddresses(ctx, service, d.private) }
	return d, nil
}

// invokeBody is nil when there is nothing to send.
func (f *Factory) invokeBody(o *invokeOptions) ([]byte, error) {
	switch o.File {
	case "":
		if o.Data == "" {
			return nil, nil
		}
		return []byte(o.Data), nil
	case "-":
		return io.ReadAll(f.IO.In)
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

// targetOf is the URL that the flags mean.
func targetOf(snap *traffic.Snapshot, known traffic.Known, o *invokeOptions) (*url.URL, error) {
	raw := snap.URL
	switch {
	case o.Tag != "":
		i := snap.Observed.Tagged(o.Tag)
		if i < 0 {
			if _, err := oneRevision(known, "tag:"+o.Tag); err != nil {
				return nil, err
			}
			return nil, fault.New(fault.Partial, "invoke", "tag "+o.Tag, "the cluster has not given it a URL yet").WithHint("see `kn-lite traffic show %s`", snap.Name)
		}
		raw = snap.Observed[i].URL
	case o.Revision != "":
		name, err := oneRevision(known, o.Revision)
		if err != nil {
			return nil, err
		}
		if raw, err = revisionURL(snap, name); err != nil {
			return nil, err
		}
	}
	if raw == "" {
		return nil, fault.New(fault.Partial, "invoke", "service/"+snap.Name, "it has no URL yet: %s", stateText(string(snap.Ready), snap.Reason, snap.Message)).
			WithHint("see `kn-lite describe %s`", snap.Name)
	}
	return url.Parse(raw)
}

// revisionURL is a URL that leads to one revision and no other.
func revisionURL(snap *traffic.Snapshot, name string) (string, error) {
	for _, t := range snap.Observed {
		if t.Pin(snap.LatestReady) == name && t.Tag != "" && t.URL != "" {
			return t.URL, nil
		}
	}
	if snap.Observed.Percent(name, snap.LatestReady) == 100 {
		return snap.URL, nil
	}
	return "", fault.New(fault.Conflict, "invoke", "revision/"+name, "it has neither a tag nor all of the traffic, so no URL leads to it alone").
		WithHint("Knative gives URLs to tags; deploy with --tag, or invoke the service")
}

func newRequest(ctx context.Context, o *invokeOptions, target *url.URL, body []byte, header http.Header) (*http.Request, error) {
	method := strings.ToUpper(o.Method)
	if method == "" {
		method = http.MethodGet
		if body != nil {
			method = http.MethodPost
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fault.Usagef("%w", err)
	}
	request.Header = header
	if host := header.Get("Host"); host != "" {
		request.Host = host // net/http does not send it from the header
		header.Del("Host")
	}
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", "kn-lite/"+currentVersion().Version)
	}
	switch {
	case o.ContentType != "":
		header.Set("Content-Type", o.ContentType)
	case body != nil && header.Get("Content-Type") == "":
		header.Set("Content-Type", typeOf(body))
	}
	return request, nil
}

func typeOf(body []byte) string {
	switch {
	case json.Valid(body):
		return "application/json"
	case utf8.Valid(body):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// exchange sends the request and prints the answer.
func (f *Factory) exchange(request *http.Request, dialer *ingressDialer) error {
	transport := &http.Transport{DialContext: dialer.dial, DisableKeepAlives: true, ForceAttemptHTTP2: false}
	if dialer.fixed == "" && !dialer.private {
		// As curl: where a proxy leads to the cluster, DNS and the ingress are its business.
		transport.Proxy = f.proxyFor
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	start := f.Sys.Now()
	response, err := client.Do(request)
	if err != nil {
		return noAnswer(request, dialer, err)
	}
	defer response.Body.Close()
	first := f.Sys.Now().Sub(start)
	if f.Flags.Output == "" || f.Flags.Output == "table" {
		n, err := f.IO.Copy(response.Body)
		if err != nil {
			return noAnswer(request, dialer, err)
		}
		summary := fmt.Sprintf("%s %s: %s, %s in %s (headers after %s) from %s", request.Method, request.URL, response.Status,
			term.Bytes(n), term.Duration(f.Sys.Now().Sub(start)), term.Duration(first), dialer.used)
		if to := response.Header.Get("Location"); to != "" {
			summary += ", Location: " + to
		}
		if response.StatusCode < http.StatusBadRequest {
			f.IO.Step("%s", summary)
		} else {
			f.IO.Note("%s", summary)
		}
		return statusFault(request, response)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return noAnswer(request, dialer, err)
	}
	err = f.print(answer{Object: invocation{
		APIVersion: apiVersion, Kind: "Response", Method: request.Method, URL: request.URL.String(), Address: dialer.used,
		Status: response.StatusCode, Headers: response.Header, Body: string(body), Millis: f.Sys.Now().Sub(start).Milliseconds(),
	}, Names: []string{response.Status}})
	if err != nil {
		return err
	}
	return statusFault(request, response)
}

func statusFault(request *http.Request, response *http.Response) error {
	if response.StatusCode < http.StatusBadRequest {
		return nil
	}
	err := fault.New(fault.Failure, "invoke", request.URL.String(), "the answer is %s", response.Status)
	if response.StatusCode == http.StatusNotFound {
		return err.WithHint("either the function has no such path, or the ingress does not know the host yet: `kn-lite traffic show` tells")
	}
	return err
}

func noAnswer(request *http.Request, dialer *ingressDialer, err error) error {
	// net/http's own wrapper repeats the method and the URL.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if fault.HintOf(err) != "" {
		return err
	}
	kind := fault.Transient
	if request.Context().Err() != nil {
		kind = fault.KindOf(request.Context().Err())
	}
	subject := request.URL.String()
	if dialer.used != "" {
		subject += " at " + dialer.used
	}
	return fault.New(kind, "invoke", subject, "no answer: %w", err)
}
