# Thin verbs; what they do stands in the scripts and programs that they call.
# `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
MAKEFLAGS += --no-print-directory

BIN := $(CURDIR)/bin
# One way of compiling for build, test, vet and scripts: they share the cache.
# Releases add -trimpath (.goreleaser.yaml).
export CGO_ENABLED := 0
GO_BUILD := go build -trimpath
PKG ?= ./...
RUN ?=

export FULL KEEP DEVCLUSTER PLATFORM WHO

.PHONY: help build demo demo-cluster test e2e conformance fuzz bench verify update kaniko-image cluster-up cluster-down peers buildah buildkit tools clean

help: ## list the verbs
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/kn-lite, for this machine
	go build -ldflags '-s -w' -o $(BIN)/kn-lite ./cmd/kn-lite

test: ## unit and script tests: no root, no cluster (PKG=./internal/traffic RUN=TestApply)
	go test $(if $(RUN),-run '$(RUN)') $(PKG)
ifeq ($(PKG)$(RUN),./...)
	cd devcluster && go test ./internal/... ./cmd/devcluster
	cd test/conformance && go test .
endif

e2e: ## tests on real Knative in a devcluster (RUN=scripts|main|seed|REGEXP, PLATFORM=local, KEEP=1, DEVCLUSTER=name, FULL=1)
	test/e2e/run '$(value RUN)'

conformance: ## Knative's own conformance tests (PLATFORM=local|devcluster, WHO=ordinary, RUN=REGEXP, KEEP=1)
	test/conformance/run '$(value RUN)'

fuzz: ## every fuzz target for 10 s; FULL=1 for 3 min each (RUN=REGEXP of PACKAGE:NAME)
	test/fuzz/run '$(value RUN)'

demo: build ## the main job on the embedded platform, told step by step
	test/demo/run

demo-cluster: ## the same on real Knative, in a devcluster; wants root
	test/e2e/run demo

bench: build peers buildkit buildah $(BIN)/hey $(BIN)/kubectl ## start-up, builds and Dockerfile builds beside kn, ko, func, buildkit, buildah and kaniko (FULL=1 for more runs)
	go test -tags bench -count=1 -v -timeout 60m $(if $(RUN),-run '$(RUN)') ./test/bench

verify: ## everything that can be checked without running the product
	test/verify/run

update: ## rewrite all that verify compares: formatting, generated docs, go.sum
	test/verify/run --update

cluster-up: ## real Knative on this machine; prints how to reach it (DEVCLUSTER=name)
	cd devcluster && go build -o $(BIN)/devcluster ./cmd/devcluster
	$(BIN)/devcluster up $(if $(DEVCLUSTER),--name $(DEVCLUSTER))

cluster-down: ## take it down and leave nothing (DEVCLUSTER=name)
	cd devcluster && go build -o $(BIN)/devcluster ./cmd/devcluster
	$(BIN)/devcluster down $(if $(DEVCLUSTER),--name $(DEVCLUSTER))

# The programs that kn-lite is compared with, and the tools that check it. Each
# has a module of its own, so that no dependency of theirs reaches kn-lite's.
peers: $(BIN)/kn $(BIN)/ko $(BIN)/func $(BIN)/kaniko ## bin/kn, ko, func and kaniko, for tests and benchmarks

tools: $(BIN)/golangci-lint $(BIN)/gofumpt $(BIN)/goreleaser $(BIN)/actionlint ## the linters and the release tool

$(BIN)/hey: test/peers/hey/go.mod test/peers/hey/go.sum
	cd test/peers/hey && $(GO_BUILD) -ldflags '-s -w' -o $@ github.com/rakyll/hey

# Of the same Kubernetes as devcluster.
$(BIN)/kubectl: devcluster/go.mod devcluster/go.sum
	cd devcluster && $(GO_BUILD) -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$$(go list -m -f '{{.Version}}' k8s.io/kubernetes)" -o $@ k8s.io/kubernetes/cmd/kubectl

$(BIN)/kn: test/peers/kn/go.mod test/peers/kn/go.sum
	cd test/peers/kn && $(GO_BUILD) -ldflags '-s -w' -o $@ knative.dev/client/cmd/kn

$(BIN)/ko: test/peers/ko/go.mod test/peers/ko/go.sum
	cd test/peers/ko && $(GO_BUILD) -ldflags '-s -w' -o $@ github.com/google/ko

$(BIN)/cosign: test/peers/cosign/go.mod test/peers/cosign/go.sum
	cd test/peers/cosign && $(GO_BUILD) -ldflags '-s -w' -o $@ github.com/sigstore/cosign/v3/cmd/cosign

$(BIN)/func: test/peers/func/go.mod test/peers/func/go.sum
	cd test/peers/func && $(GO_BUILD) -ldflags '-s -w' -o $@ knative.dev/func/cmd/func

kaniko-image: build $(BIN)/kaniko ## push the image that --builder kaniko runs (IMAGE=REGISTRY/NAME:TAG)
	$(BIN)/kn-lite internal kaniko-image $(IMAGE) $(BIN)/kaniko

# Only ever run in a container or a sandbox: it deletes what it finds at /.
$(BIN)/kaniko: builders/kaniko/go.mod builders/kaniko/go.sum
	cd builders/kaniko && $(GO_BUILD) -ldflags '-s -w' -o $@ github.com/GoogleContainerTools/kaniko/cmd/executor

# The reference for Dockerfiles; the daemon runs with Debian's runc.
buildkit: $(BIN)/buildkitd $(BIN)/buildctl ## bin/buildkitd and bin/buildctl, for tests and benchmarks
	@command -v runc > /dev/null || { apt-get update -qq && apt-get install -y --no-install-recommends runc > /dev/null; }

$(BIN)/buildkitd $(BIN)/buildctl: test/peers/buildkit/go.mod test/peers/buildkit/go.sum
	cd test/peers/buildkit && $(GO_BUILD) -ldflags '-s -w' -o $@ github.com/moby/buildkit/cmd/$(@F)

# Debian's: it needs C libraries to compile.
buildah:
	@command -v buildah > /dev/null || { apt-get update -qq && apt-get install -y --no-install-recommends buildah > /dev/null; }

$(BIN)/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	cd tools/lint && $(GO_BUILD) -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(BIN)/gofumpt: tools/lint/go.mod tools/lint/go.sum
	cd tools/lint && $(GO_BUILD) -o $@ mvdan.cc/gofumpt

$(BIN)/actionlint: tools/actions/go.mod tools/actions/go.sum
	cd tools/actions && $(GO_BUILD) -o $@ github.com/rhysd/actionlint/cmd/actionlint

$(BIN)/goreleaser: tools/release/go.mod tools/release/go.sum
	cd tools/release && $(GO_BUILD) -o $@ github.com/goreleaser/goreleaser/v2

clean: ## remove what was built here; caches stay
	rm -rf $(BIN) dist
