package cluster

import (
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
)

// boundPlugin puts the credential plugin of a kubeconfig, where there is one, under
// the deadline of the request that it is run for, and gives its failure its name.
// client-go does neither.
func boundPlugin(client *http.Client, t target) {
	if t.config.ExecProvider == nil {
		return
	}
	client.Transport = &pluginTransport{inner: client.Transport, command: t.config.ExecProvider.Command, context: t.context}
}

// pluginTransport is around the transport that runs the plugin before it sends a
// request.
type pluginTransport struct {
	inner            http.RoundTripper
	command, context string
}

// RoundTrip fails with fault.Auth when the request was not even begun: then it was
// the plugin that failed, or that was not done in time. A plugin that hangs is left
// behind; it has the terminal and gets its signals.
func (p *pluginTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	var begun atomic.Bool
	traced := request.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { begun.Store(true) },
	}))
	type answer struct {
		response *http.Response
		err      error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		a.err = parallel.Guard(func() (err error) {
			a.response, err = p.inner.RoundTrip(traced) //nolint:bodyclose // RoundTrip's caller closes it
			return err
		})()
		answers <- a
	}()
	select {
	case a := <-answers:
		if a.err != nil && !begun.Load() {
			return nil, p.failed("failed: %w", a.err)
		}
		return a.response, a.err
	case <-ctx.Done():
		if !begun.Load() {
			return nil, p.failed("has not answered in time: %w", ctx.Err())
		}
		a := <-answers // the connection ends with ctx by itself
		return a.response, a.err
	}
}

func (p *pluginTransport) failed(format string, err error) error {
	return fault.New(fault.Auth, "cluster.login", "context "+p.context, "its credential plugin %q "+format, p.command, err).
		WithHint("the kubeconfig runs it to log in: is it installed, and does it work by itself?")
}
