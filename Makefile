# Everything is done with Go; what else a target needs it gets itself, with apt
# and npm. `make help` lists the targets.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c

GO       ?= go
FUZZTIME ?= 30s
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
COMMIT   ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)

LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/millrace: one static binary.
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)' \
		-o bin/millrace ./cmd/millrace

.PHONY: test
test: deps embedded ## Vet, then all tests against real servers, with the race detector.
	$(GO) vet ./...
	@race=-race cc=$$($(GO) env CC); \
	if [ "$$($(GO) env CGO_ENABLED)" = 0 ] || ! command -v "$${cc%% *}" >/dev/null; then \
		echo 'no C compiler: testing without the race detector'; race=; fi; \
	set -x; $(GO) test $$race -count=1 -timeout 20m ./...

.PHONY: lint
lint: ## Check style and imports with golangci-lint; builds it on first use.
	$(GO) run $(LINT) run

.PHONY: fuzz
fuzz: ## Run each fuzz test for FUZZTIME (30s); make test runs their seeds only.
	@$(GO) test -list '^Fuzz' ./... | awk '/^Fuzz/ { t[n++] = $$1 } /^ok/ { while (n) print $$2, t[--n] }' | sort | \
	while read -r package test; do \
		echo "$$package $$test"; \
		$(GO) test -run '^$$' -fuzz "^$$test\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
	done

.PHONY: bench
bench: deps embedded build ## Run the micro benchmarks, then latency and throughput between real servers.
	$(GO) test -run '^$$' -bench . -benchmem $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...)
	$(GO) build -o bin/bench ./test/bench
	@bin/bench bin/millrace

.PHONY: demo
demo: deps embedded build ## Watch a busy shop arrive in ClickHouse for DEMO_SECONDS (30), then compare.
	@$(GO) build -o bin/demo ./test/demo
	@bin/demo bin/millrace

.PHONY: deps
deps: ## Install what the tests need and the machine lacks: Postgres and a C compiler.
	@test/deps.sh

.PHONY: embedded
embedded: ## Fetch the ClickHouse engine with npm, once.
	@$(GO) run ./cmd/millrace clickhouse --fetch

.PHONY: clean
clean: ## Remove what was built; fetched engines stay in the cache.
	rm -rf bin coverage.out
