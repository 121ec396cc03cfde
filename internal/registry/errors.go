package registry

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// maxErrorBody is how much of an error reply is read at most.
const maxErrorBody = 64 << 10

// StatusError is a registry's or token server's refusal.
type StatusError struct {
	Method  string
	URL     string // without query and credentials
	Status  int
	Code    string // e.g. NAME_UNKNOWN, the first of the reply's error codes
	Message string // what the reply said, one line
	after   time.Duration
	hasWait bool // the reply carried a Retry-After
	setup   bool // it came from the first contact or the token server, not from the repository
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s %s: %d %s", e.Method, e.URL, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// errStalled ends a request that moved no byte for too long.
type errStalled struct{ after time.Duration }

func (e errStalled) Error() string { return fmt.Sprintf("no byte moved for %v", e.after) }

// errRetryable marks damage that a second try may not meet again.
type errRetryable struct{ error }

func (e errRetryable) Unwrap() error { return e.error }

// retryableStatus are the replies worth repeating: time-outs, rate limits and
// servers in trouble.
func retryableStatus(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// readStatusError turns an unexpected reply into an error and closes it.
func readStatusError(resp *http.Response) *StatusError {
	defer finish(resp)
	e := &StatusError{Method: resp.Request.Method, URL: redact(resp.Request.URL), Status: resp.StatusCode}
	e.after, e.hasWait = parseRetryAfter(resp.Header.Get("Retry-After"), resp.Header.Get("Date"))
	// The reply is about to be shown or thrown away: what cannot be read of it is no loss.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	e.Code, e.Message = describeBody(resp.Header.Get("Content-Type"), body)
	return e
}

// describeBody finds the one line worth showing in an error reply.
func describeBody(contentType string, body []byte) (code, message string) {
	var structured struct {
		Errors []struct {
			Code    string          `json:"code"`
			Message string          `json:"message"`
			Detail  json.RawMessage `json:"detail"`
		} `json:"errors"`
		Details string `json:"details"` // what token servers say
	}
	if json.Unmarshal(body, &structured) == nil {
		if len(structured.Errors) > 0 {
			first := structured.Errors[0]
			return oneLine(first.Code), oneLine(strings.Trim(first.Code+": "+first.Message, ": "))
		}
		return "", oneLine(structured.Details)
	}
	media, _, _ := mime.ParseMediaType(contentType)
	text := strings.TrimSpace(string(body))
	if media == "text/html" || strings.HasPrefix(strings.ToLower(text), "<!doctype html") || strings.HasPrefix(strings.ToLower(text), "<html") {
		if title := htmlTitle(text); title != "" {
			return "", "a web page titled " + quote(title) + ", is this a registry?"
		}
		return "", "a web page, is this a registry?"
	}
	return "", oneLine(text)
}

func htmlTitle(page string) string {
	lower := strings.ToLower(page)
	_, after, found := strings.Cut(lower, "<title>")
	if !found {
		return ""
	}
	start := len(lower) - len(after)
	end := strings.Index(after, "</title>")
	if end < 0 || start+end > len(page) {
		return ""
	}
	return oneLine(page[start : start+end])
}

// oneLine makes foreign text safe to print: its first line, without control
// characters, at most 200 letters.
func oneLine(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200]) + "…"
	}
	return strings.TrimSpace(text)
}

// redact leaves out what may be secret in a URL: signatures and upload states
// live in the query, passwords before the host.
func redact(u *url.URL) string {
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if u.RawQuery != "" {
		return clean.String() + "?…"
	}
	return clean.String()
}

// retryable reports whether a second try may end differently.
func retryable(err error) bool {
	var status *StatusError
	var stalled errStalled
	var marked errRetryable
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.As(err, &marked):
		return true
	case errors.As(err, &status):
		return retryableStatus(status.Status)
	case errors.As(err, &stalled):
		return true
	case isCertificate(err), isUnknownHost(err), errors.Is(err, errRefusedTarget):
		return false
	}
	if _, refused := refusedCertificate(err); refused {
		return false
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed), errors.Is(err, http.ErrServerClosed), isRefused(err):
		return true
	}
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return true
	}
	var dns *net.DNSError
	if errors.As(err, &dns) && (dns.IsTemporary || dns.IsTimeout) {
		return true
	}
	var op *net.OpError
	return errors.As(err, &op)
}

func isUnknownHost(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// isProxy reports whether it was not the registry that could not be reached.
func isProxy(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "proxyconnect"
}

func isCertificate(err error) bool {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	return errors.As(err, &unknown) || errors.As(err, &invalid) || errors.As(err, &host)
}

// explain gives err its kind, a text in our words and a hint. subject is the
// reference it is about.
func (c *Client) explain(ctx context.Context, op, subject, host string, err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	e := &fault.Error{Op: op, Kind: fault.Failure, Subject: subject, Err: plainCause(err)}
	if missing, refused := refusedCertificate(err); refused {
		return c.explainRefused(e, host, missing, err)
	}
	var status *StatusError
	var damage errRetryable
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return e
	case errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
		e.Kind, e.Err = fault.Timeout, reason{"timed out, last: " + e.Err.Error(), err}
		return e.WithHint("give it longer with {Timeout}")
	case errors.As(err, &damage):
		return e.WithHint("several attempts ended so: the registry, or a proxy in front of it, damages what it passes on")
	case errors.As(err, &status):
		return c.explainStatus(e, host, status)
	case errors.Is(err, errRefusedTarget):
		return e.WithHint("if that is a host of yours, name it: {Insecure} HOST[:PORT]")
	case isCertificate(err):
		return explainCertificate(e, host, err)
	case isUnknownHost(err):
		e.Kind, e.Err = fault.Transient, reason{"no such host: " + host, err}
		return e.WithHint("check the registry's name; behind a proxy set HTTPS_PROXY")
	case errors.Is(err, http.ErrSchemeMismatch):
		e.Err = reason{"the registry speaks plain HTTP, which kn-lite does to loopback only", err}
		return e.WithHint("if nobody between here and %s can read along: {Insecure} %s", host, host)
	case isRefused(err) && isProxy(err):
		e.Kind, e.Err = fault.Transient, reason{"the proxy on the way to " + host + " refuses connections", err}
		return e.WithHint("check HTTPS_PROXY; hosts that are reached without it belong in NO_PROXY")
	case isRefused(err):
		e.Kind, e.Err = fault.Transient, reason{"nothing listens at " + host + " (connection refused)", err}
		return e.WithHint("is the registry running? is the port right?")
	case retryable(err):
		e.Kind = fault.Transient
		return e.WithHint("the connection to %s keeps failing; try again in a minute", host)
	}
	return e
}

func (c *Client) explainStatus(e *fault.Error, host string, status *StatusError) error {
	switch {
	case status.Status == http.StatusUnauthorized:
		e.Kind = fault.Auth
		return e.WithHint("%s\nlog in with `kn-lite registry login %s`, or point REGISTRY_AUTH_FILE at a file that has credentials", c.creds.Describe(host), host)
	case status.Status == http.StatusForbidden:
		e.Kind = fault.Auth
		return e.WithHint("%s\nthe account lacks the permission for this repository", c.creds.Describe(host))
	case status.Status == http.StatusNotFound && status.setup:
		e.Kind = fault.NotFound
		return e.WithHint("there is a web server at %s, and no registry", host)
	case status.Status == http.StatusNotFound && !writes(e.Op):
		e.Kind = fault.NotFound
		return e.WithHint("there is no such image: check the name and the tag; to those who may not read a private repository it looks the same (`kn-lite registry check` tells)")
	case status.Status == http.StatusNotFound:
		e.Kind = fault.NotFound
		return e.WithHint("check the name; some registries want the repository to be created before the first push")
	case status.Status == http.StatusInsufficientStorage:
		return e.WithHint("the disk of the registry is full: make room there, and do it again")
	case retryableStatus(status.Status):
		e.Kind = fault.Transient
		return e.WithHint("the registry is in trouble or limits requests; try again in a minute")
	}
	return e
}

// writes reports whether an operation brings something to a registry.
func writes(op string) bool {
	return slices.Contains([]string{"registry.push", "registry.tag", "registry.sign", "registry.attach"}, op)
}

func explainCertificate(e *fault.Error, host string, err error) error {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.Err = reason{fmt.Sprintf("the certificate of %s is valid from %s to %s only", host,
			invalid.Cert.NotBefore.Format(time.DateOnly), invalid.Cert.NotAfter.Format(time.DateOnly)), err}
		return e.WithHint("the registry needs a new certificate, or this machine's clock is wrong")
	case errors.As(err, &name):
		e.Err = reason{"the certificate is for another name than " + host, err}
		return e.WithHint("use the name that the certificate was made for")
	}
	e.Err = reason{"the certificate of " + host + " is signed by an unknown authority", err}
	return e.WithHint("give the authority's certificate (PEM) with {CAFile} FILE, KN_LITE_REGISTRY_CA or registryCA in the config file")
}

// plainCause strips what http.Client wraps around a cause: the URL with its
// query, which may hold a signature.
func plainCause(err error) error {
	var status *StatusError
	if errors.As(err, &status) {
		return status
	}
	var u *url.Error
	if errors.As(err, &u) {
		at := u.URL
		if parsed, e := url.Parse(u.URL); e == nil {
			at = redact(parsed)
		}
		return reason{strings.ToUpper(u.Op) + " " + at + ": " + u.Err.Error(), err}
	}
	return err
}
