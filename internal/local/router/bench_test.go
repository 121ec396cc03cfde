//go:build bench

package router

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The size of `hey -n 10000 -c 200`.
const (
	benchRequests = 10000
	benchClients  = 200
	benchRounds   = 5
	minShare      = 0.95
)

// TestThroughput compares the router with the standard library's reverse proxy
// alone, in turns before the same server.
func TestThroughput(t *testing.T) {
	p := newPlatform(t)
	p.one(says("hello"))
	p.mu.Lock()
	target, err := url.Parse(p.servers["v1-1"].URL)
	p.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.SetXForwarded() },
		Transport: &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true},
	})
	defer plain.Close()
	fronts := map[string]string{"direct": target.Host, "plain": plain.Listener.Addr().String(), "router": p.front.Listener.Addr().String()}
	rates, shares := map[string][]float64{}, []float64{}
	for round := range benchRounds + 1 {
		for _, name := range []string{"direct", "plain", "router"} {
			rate := throughput(t, fronts[name])
			if round > 0 { // the first fills the pools
				rates[name] = append(rates[name], rate)
			}
		}
		if round > 0 {
			shares = append(shares, rates["router"][round-1]/rates["plain"][round-1])
		}
	}
	for name, r := range rates {
		t.Logf("%-6s median %6.0f requests/s of %.0f", name, median(r), r)
	}
	t.Logf("share of the plain proxy: median %.3f of %.3f", median(shares), shares)
	if share := median(shares); share < minShare {
		t.Errorf("the router has %.3f of a plain proxy's throughput, at least %.2f", share, minShare)
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// throughput sends requests over connections that stay open, and returns their rate.
func throughput(t *testing.T, address string) float64 {
	var left atomic.Int64
	left.Store(benchRequests)
	request := []byte("GET / HTTP/1.1\r\nHost: " + hello + "\r\nUser-Agent: bench\r\nAccept-Encoding: gzip\r\n\r\n")
	start := time.Now()
	var clients sync.WaitGroup
	for range benchClients {
		clients.Go(func() {
			if err := client(address, request, &left); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	return benchRequests / time.Since(start).Seconds()
}

func client(address string, request []byte, left *atomic.Int64) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for left.Add(-1) >= 0 {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d: %w", response.StatusCode, err)
		}
	}
	return nil
}
