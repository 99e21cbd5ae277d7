# Every target explains itself: make help
.DEFAULT_GOAL := help
SHELL := /bin/bash

GO       ?= go
BIN      := bin
TOOLS    := $(CURDIR)/.tools
LINT     := $(TOOLS)/golangci-lint
LINT_VERSION := v2.15.0
FUZZTIME ?= 10s
# Packages whose concurrency is ours; -race costs most where test servers are linked in.
RACE     := ./internal/... ./pkg/... ./destinations/...

.PHONY: help
help: ## show this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install what the tests need (Node packages of real webhook receivers), or say exactly what is missing
	@scripts/setup

.PHONY: build
build: ## build bin/fantail
	$(GO) build -trimpath -o $(BIN)/fantail ./cmd/fantail

.PHONY: test
test: setup ## install what is missing, then run every test
	$(GO) vet ./...
	$(GO) test -timeout 15m ./...

.PHONY: race
race: ## run the unit tests under the race detector
	$(GO) test -race -timeout 20m $(RACE)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s)
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg; done; done

.PHONY: bench
bench: ## run every benchmark once
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: fmt
fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

.PHONY: lint
lint: $(LINT) ## run the linters of .golangci.yml
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run make fmt"; exit 1; }
	$(LINT) run ./...

$(LINT):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

.PHONY: demo
demo: ## the main job on real input, in about ten seconds
	$(GO) run ./cmd/fantail demo

.PHONY: up
up: build ## run the daemon on configs/fantail.yaml, in the foreground
	FANTAIL_DEV_ACME_SECRET=$${FANTAIL_DEV_ACME_SECRET:-change-me-acme-secret} $(BIN)/fantail serve --config configs/fantail.yaml

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN) $(TOOLS) test/integration/receivers/node_modules
