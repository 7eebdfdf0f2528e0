# Each target is a line that anyone could type; `make help` lists them.
GO      ?= go
OUT     ?= out
RESULTS ?= results
COUNT   ?= 10
BENCH   ?= .
BASE    ?= origin/main
SUITES  := ./suites/...

.DEFAULT_GOAL := help
.PHONY: help run test race golden lint fma fuzz bench bench-base bench-compare bench-aa live live-cpu live-ray clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  %-14s %s\n", $$1, $$2}'

run: ## run every suite on the simulated backend and print its tables
	@$(GO) test -count=1 $(SUITES)

test: ## run every test
	@$(GO) tool gotestsum --format pkgname -- ./...

race: ## run every test with the race detector, in random order
	@$(GO) tool gotestsum --format pkgname -- -race -shuffle=on ./...

golden: ## redraw the golden tables; read the diff before you commit it
	$(GO) test -count=1 $(SUITES) -update
	@git --no-pager diff --stat -- golden

lint: ## gofmt, vet, staticcheck, and the table of imports
	@test -z "$$(gofmt -l harness suites fixtures golden)" || { gofmt -l harness suites fixtures golden; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test ./harness

clean: ## remove what the other targets wrote
	rm -rf $(OUT) $(RESULTS)
