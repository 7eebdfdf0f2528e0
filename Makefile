# Each target is a line that anyone could type; `make help` lists them.
GO      ?= go
OUT     ?= out
RESULTS ?= results
COUNT   ?= 10
BENCH   ?= .
BASE    ?= origin/main
TAGS    ?=
SEEDS   ?= 5000
FUZZTIME ?= 30s
LIVETIME ?= 2h
SUITES  := ./suites/...

export TAGS

.DEFAULT_GOAL := help
.PHONY: help run reports test race golden lint fma laws fuzz bench bench-base bench-compare bench-aa gate-trial live live-cpu live-ray clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  %-14s %s\n", $$1, $$2}'

run: ## run all six phases on the simulated backend, print their tables, write reports: start at out/index.html
	@rm -rf $(OUT)/results
	@$(GO) test -count=1 $(SUITES) -results=$(abspath $(OUT))/results; code=$$?; \
	for table in $(OUT)/results/*/*.txt; do echo; echo "== $$table"; cat $$table; done; echo; \
	$(MAKE) -s reports && exit $$code

reports: # hold the models against measured runs, beside the suites' results; a case out of bounds is a result, not an error
	@mkdir -p $(OUT)/results/backtest && $(GO) build -o $(OUT)/symbiote ./harness/cmd/symbiote
	@cd harness/backtest/testdata && for kind in "serving replay/h100.jsonl replay/h100-http.jsonl replay/h200.jsonl" "memory starts-h100.csv"; do \
		$(abspath $(OUT))/symbiote backtest -json $$kind >$(abspath $(OUT))/results/backtest/$${kind%% *}.json || test $$? = 1; done
	@$(OUT)/symbiote report -in $(OUT)/results -out $(OUT)

test: ## run every test
	@$(GO) tool gotestsum --format pkgname -- ./...

race: ## run every test with the race detector, in random order
	@$(GO) tool gotestsum --format pkgname -- -race -shuffle=on ./...

golden: ## redraw the golden tables; read the diff before you commit it
	$(GO) test -count=1 $(SUITES) ./harness/suite -update
	@git --no-pager diff --stat -- golden

lint: ## gofmt, vet for every backend, staticcheck, and the table of imports
	@unformatted=$$(gofmt -l harness suites fixtures golden); test -z "$$unformatted" || { echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags gpu ./...
	$(GO) vet -tags ray ./...
	$(GO) tool staticcheck ./...
	$(GO) test ./harness

fma: ## look for fused multiply-adds on arm64, which would make figures depend on the machine
	@.ci/fma.sh

laws: ## hold the engine's laws on SEEDS random servers, its two ways to advance against each other on half as many and on every case of the suites
	$(GO) test -count=1 -timeout 2h -run '^(TestLaws|TestAggregateAgreesWithReference)$$' ./harness/engine -seeds $(SEEDS)
	$(GO) test -count=1 $(SUITES) -twice

fuzz: ## fuzz each target for FUZZTIME
	@.ci/fuzz.sh $(FUZZTIME)

bench: ## run the benchmarks once, virtual figures and event logs: RESULTS/new.txt
	@.ci/bench.sh once $(RESULTS)/new '$(BENCH)'

bench-base: ## the same for BASE, built in a worktree of its own: RESULTS/old.txt
	@.ci/bench.sh base $(RESULTS)/old '$(BENCH)' '$(BASE)'

bench-compare: ## judge this tree against BASE: benchstat for people, the gate for the verdict
	@.ci/bench.sh compare $(RESULTS) '$(BENCH)' '$(BASE)' '$(COUNT)'

bench-aa: ## this machine's noise floor: the same binary against itself, COUNT times
	@.ci/bench.sh aa $(RESULTS) '$(BENCH)' '$(COUNT)'

gate-trial: ## try the gate on host times here: slowdowns found, false alarms raised; takes minutes
	$(GO) test -count=1 -timeout 1h -v -run 'Slower|NoAlarm' ./harness/gate -slow

live: ## run the suites on a live vLLM: SYMBIOTE_ENDPOINT names a server, or SYMBIOTE_VLLM a command that starts one
	$(GO) test -tags gpu -count=1 -timeout $(LIVETIME) $(SUITES)

live-cpu: ## install and start a small live vLLM on this machine's CPU, run the suites and a load on it, stop it
	harness/vllm/live-cpu.sh

live-ray: ## run suites and live tests on a real Ray, installed and started alone (or SYMBIOTE_RAY); PART=suites … runs one part
	@GO="$(GO)" LIVETIME=$(LIVETIME) harness/backend/ray/parts.sh $(PART)

clean: ## remove what the other targets wrote
	rm -rf $(OUT) $(RESULTS)
