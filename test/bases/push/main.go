// Command push makes a test base and pushes it to a registry on loopback:
//
//	go run ./test/bases/push -cache ~/.cache/kn-lite-bases -arch amd64,arm64 127.0.0.1:5000/base/node:22
//	go run ./test/bases/push -cache ~/.cache/kn-lite-bases -language python 127.0.0.1:5000/base/python:3.11
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"strings"

	"github.com/kn-lite/kn-lite/test/bases"
)

func main() {
	log.SetFlags(0)
	cache := flag.String("cache", "", "folder that keeps the result for the next time")
	language := flag.String("language", "node", "java, node, python or ruby")
	archs := flag.String("arch", "amd64", "architectures, with commas between them")
	flag.Parse()
	if *cache == "" || flag.NArg() != 1 {
		log.Fatal("usage: push -cache DIR [-language NAME] HOST/NAME:TAG")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	index, err := bases.Index(ctx, *language, *cache, strings.Split(*archs, ",")...)
	if err == nil {
		err = bases.Push(ctx, index, flag.Arg(0))
	}
	if err != nil {
		stop()
		log.Fatal(err)
	}
}
