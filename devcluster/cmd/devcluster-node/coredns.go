package main

import (
	"context"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
	_ "github.com/coredns/coredns/plugin/whoami"
)

// coreDNS is CoreDNS with the plugins that a closed cluster needs. The stock
// main links all 50, cloud DNS clients included, and takes minutes to compile.
func coreDNS(context.Context) int {
	// Only these directives exist; the list also fixes the order of the chain.
	dnsserver.Directives = []string{"bind", "ready", "errors", "cache", "template", "hosts", "kubernetes", "forward", "whoami"}
	coremain.Run()
	return 0
}
