// Command push makes a test base and pushes it to a registry on loopback:
//
//	go run ./test/bases/push -cache ~/.cache/kn-lite-bases 127.0.0.1:5000/base/node:22
//	go run ./test/bases/push -cache ~/.cache/kn-lite-bases -language python 127.0.0.1:5000/base/python:3.11
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"

	"github.com/kn-lite/kn-lite/test/bases"
)

func main() {
	log.SetFlags(0)
	cache := flag.String("cache", "", "folder that keeps the result for the next time")
	language := flag.String("language", "node", "node or python")
	flag.Parse()
	if *cache == "" || flag.NArg() != 1 {
		log.Fatal("usage: push -cache DIR [-language NAME] HOST/NAME:TAG")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	image, err := bases.Image(ctx, *language, *cache)
	if err == nil {
		err = bases.Push(ctx, image, flag.Arg(0))
	}
	if err != nil {
		stop()
		log.Fatal(err)
	}
}
