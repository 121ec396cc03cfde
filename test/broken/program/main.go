// Command broken fails in the way that $MODE names, and serves with MODE=ok.
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	// The first process of a container ignores SIGTERM unless it asks for it,
	// and the pod would stay for its whole grace period of five minutes.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		os.Exit(0)
	}()
	// With MODE=ok: $ERRORS percent of the answers are errors, evenly spread from the
	// first on, and each takes $LAG longer.
	var served atomic.Int64
	errors, _ := strconv.ParseInt(os.Getenv("ERRORS"), 10, 64)
	lag, _ := time.ParseDuration(os.Getenv("LAG"))
	http.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) {
		fmt.Println("crashing")
		os.Exit(3)
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("request", r.URL.Path)
		time.Sleep(lag)
		if errors > 0 && (served.Add(1)-1)*errors%100 < errors {
			http.Error(w, "broken on purpose", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Revision", os.Getenv("K_REVISION"))
		_, _ = fmt.Fprintln(w, "broken is fine:", os.Getenv("ANSWER"))
	})
	serve := func(addr string) { panic(http.ListenAndServe(addr, nil)) }
	switch os.Getenv("MODE") {
	case "ok":
		serve(":8080")
	case "slow":
		delay, err := time.ParseDuration(os.Getenv("DELAY"))
		if err != nil {
			panic(err)
		}
		time.Sleep(delay)
		serve(":8080")
	case "line":
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		fmt.Print("got ", line)
	case "exit":
		fmt.Println("all done")
	case "port":
		fmt.Println("listening on :9999")
		serve(":9999")
	case "mute":
		serve(":9999")
	case "memory":
		fmt.Println(len(strings.Repeat("x", 1<<29)))
	default:
		fmt.Fprintln(os.Stderr, "cannot reach the database at db:5432")
		os.Exit(3)
	}
}
