package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// serve runs a relay to target and returns its address and a stop that waits.
func serve(t *testing.T, target string) (string, func()) {
	t.Helper()
	l := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, target) }()
	stop := func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Serve did not end with its context")
		}
	}
	return l.Addr().String(), stop
}

func TestAnswerArrivesAfterTheClientHasFinishedSending(t *testing.T) {
	server := listen(t)
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		got, _ := io.ReadAll(conn) // ends only if the half-close came through
		_, _ = conn.Write(append([]byte("got "), got...))
	}()
	address, stop := serve(t, server.Addr().String())
	defer stop()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := bytes.Repeat([]byte("x"), 1<<20)
	if _, err := conn.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, append([]byte("got "), body...)) {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(body)+4)
	}
}

func TestNobodyThereIsAReset(t *testing.T) {
	gone := listen(t)
	target := gone.Addr().String()
	_ = gone.Close()
	address, stop := serve(t, target)
	defer stop()
	// The reset may already arrive while the client still looks at its connect.
	conn, err := net.Dial("tcp", address)
	if err == nil {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error = %v, want a connection reset", err)
	}
}

func TestServeCutsOpenConnectionsWhenItEnds(t *testing.T) {
	server := listen(t)
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := server.Accept()
		if err == nil {
			accepted <- conn
		}
	}()
	address, stop := serve(t, server.Addr().String())
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	held := <-accepted
	defer held.Close()
	stop()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlived the relay")
	}
}
