// Package runtimetest holds what every runtime of the kubelet has to do, as tests,
// with a program that they run, and a runtime for tests that runs that program
// inside of the test.
package runtimetest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// System is what the program sees of the container that it runs in.
type System struct {
	Args, Env      []string
	Dir            string
	Stdout, Stderr io.Writer
	Signals        <-chan os.Signal
	Listen         func(port string) (net.Listener, error)
	Read           func(path string) ([]byte, error)
	Write          func(path string, text []byte) error
	Kill           <-chan struct{} // closed when it is to stop at once
}

// Program does what its arguments say, one after the other, and returns its exit
// code. Run by itself it is the program of an image.
func Program(s System) int {
	for _, step := range s.Args[1:] {
		verb, value, _ := strings.Cut(step, "=")
		code, done := s.step(verb, value)
		if done {
			return code
		}
	}
	return 0
}

func (s System) step(verb, value string) (code int, done bool) {
	switch verb {
	case "say":
		fmt.Fprintln(s.Stdout, value)
	case "print": // without an end of the line
		fmt.Fprint(s.Stdout, value)
	case "complain":
		fmt.Fprintln(s.Stderr, value)
	case "env": // one variable
		fmt.Fprintf(s.Stdout, "%s=%s\n", value, s.variable(value))
	case "environ":
		fmt.Fprintln(s.Stdout, strings.Join(s.Env, "\n"))
	case "args":
		fmt.Fprintf(s.Stdout, "%q in %s\n", s.Args, s.Dir)
	case "cat":
		text, err := s.Read(value)
		if err != nil {
			fmt.Fprintln(s.Stderr, err)
			return 1, true
		}
		fmt.Fprintf(s.Stdout, "%s\n", text)
	case "write": // PATH:TEXT
		at, text, _ := strings.Cut(value, ":")
		if err := s.Write(at, []byte(text)); err != nil {
			fmt.Fprintln(s.Stderr, err)
			return 1, true
		}
	case "exists": // exit code 0 or 1, as test -e
		if _, err := s.Read(value); err != nil {
			return 1, true
		}
	case "sleep":
		d, _ := time.ParseDuration(value)
		select {
		case <-time.After(d):
		case <-s.Kill:
			return 137, true
		case <-s.Signals:
			return 143, true
		}
	case "exit":
		code, _ := strconv.Atoi(value)
		return code, true
	case "wait": // for SIGTERM, then exit with this code
		return s.wait(value), true
	case "ignore": // SIGTERM
		<-s.Kill
		return 137, true
	case "serve": // HTTP on this port
		return s.serve(value), true
	}
	return 0, false
}

func (s System) wait(code string) int {
	select {
	case signal := <-s.Signals:
		fmt.Fprintf(s.Stdout, "got %s\n", signal)
		number, _ := strconv.Atoi(code)
		return number
	case <-s.Kill:
		return 137
	}
}

func (s System) variable(name string) string {
	at := slices.IndexFunc(s.Env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
	if at < 0 {
		return "(unset)"
	}
	return s.Env[at][len(name)+1:]
}

// serve answers requests: /exit/CODE ends it, /sick makes /health fail, /well
// makes it good again, /say/TEXT writes a line to stdout, and /env/NAME is a variable.
func (s System) serve(port string) int {
	if port == "" {
		port = s.variable("PORT")
	}
	listener, err := s.Listen(port)
	if err != nil {
		fmt.Fprintln(s.Stderr, err)
		return 1
	}
	defer listener.Close()
	exit := make(chan int, 1)
	var sick atomic.Bool
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch verb, value := path.Split(r.URL.Path); verb {
		case "/exit/":
			code, _ := strconv.Atoi(value)
			exit <- code
		case "/say/":
			fmt.Fprintln(s.Stdout, value)
		case "/env/":
			fmt.Fprint(w, s.variable(value))
		case "/cat/":
			text, err := s.Read("/" + strings.ReplaceAll(value, ":", "/"))
			fmt.Fprint(w, string(text), err)
		default:
			switch value {
			case "sick":
				sick.Store(true)
			case "well":
				sick.Store(false)
			case "health":
				if sick.Load() {
					w.WriteHeader(http.StatusInternalServerError)
				}
			}
			fmt.Fprintf(w, "hello from %s", s.variable("HOSTNAME"))
		}
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: http.HandlerFunc(handler), Protocols: protocols, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	select {
	case code := <-exit:
		return code
	case signal := <-s.Signals:
		fmt.Fprintf(s.Stdout, "got %s\n", signal)
		if signal == syscall.SIGTERM {
			return 0
		}
		return 1
	case <-s.Kill:
		return 137
	}
}
