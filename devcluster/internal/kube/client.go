// Package kube is the little of a Kubernetes client that bringing a cluster up
// needs: apply objects, read them, ask for health. It speaks plain REST, so that the
// front command stays small.
package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Client talks to one API server.
type Client struct {
	http *http.Client
	base string
}

// Dialer opens connections; machine.Machine.Dial is one.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// New returns a client for the server at base (a URL) that shows the certificate
// FILE.crt in the pki folder dir and trusts its ca.crt. A nil dial is the ordinary one.
func New(dir, file, base string, dial Dialer) (*Client, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, file+".crt"), filepath.Join(dir, file+".key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &Client{base: base, http: &http.Client{Transport: &http.Transport{
		DialContext:         dial,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 16,
		TLSClientConfig:     &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12},
	}}}, nil
}

// StatusError is the API server's refusal: its metav1.Status, shortened.
type StatusError struct {
	Code    int    `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

func (e *StatusError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("http status %d", e.Code)
	}
	return e.Message
}

// do sends one request and decodes the answer into out, unless out is nil.
func (c *Client) do(ctx context.Context, method, path, contentType string, body []byte, accept string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if accept == "" {
		accept = "application/json"
	}
	req.Header.Set("Accept", accept)
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		status := &StatusError{}
		if json.Unmarshal(answer, status) != nil {
			status.Message = strings.TrimSpace(string(answer[:min(len(answer), 500)]))
		}
		status.Code = res.StatusCode
		return status
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// Get reads a path of the API into out.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodGet, path, "", nil, "", out)
}

// Healthy asks a health path, such as /readyz.
func (c *Client) Healthy(ctx context.Context, path string) error {
	return c.do(ctx, http.MethodGet, path, "", nil, "text/plain", nil)
}

// Create posts an object to a collection's path.
func (c *Client) Create(ctx context.Context, path string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, "application/json", body, "", nil)
}

// Merge changes an object by a JSON merge patch (RFC 7396).
func (c *Client) Merge(ctx context.Context, path string, patch any) error {
	body, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPatch, path, "application/merge-patch+json", body, "", nil)
}

// Delete deletes an object at once, without a grace period.
func (c *Client) Delete(ctx context.Context, path string) error {
	return c.do(ctx, http.MethodDelete, path+"?gracePeriodSeconds=0", "", nil, "", nil)
}

// Code returns the HTTP status that err carries, or 0.
func Code(err error) int {
	var s *StatusError
	if errors.As(err, &s) {
		return s.Code
	}
	return 0
}
