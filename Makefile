# taskhost: what to build, run and check. `make` alone lists the targets.

.DEFAULT_GOAL := help

GO       ?= go
BUILD    ?= build
FUZZTIME ?= 10s
CHAOS_KILLS ?= 500
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# What taskhost is built with. With -trimpath, tests and vet take the same compiled packages; only the race detector needs others.
PLAIN := CGO_ENABLED=0 $(GO)
# Tests keep compiled plugins in one place; what Go builds stays where it is.
export GOCACHE := $(shell $(GO) env GOCACHE)
warm race kills test-plugins: export XDG_CACHE_HOME = $(abspath $(BUILD))/cache
LINT     := $(GO) tool -modfile=tools/go.mod golangci-lint

# plugins, plugins-shipped, toolchains, test-plugins
include plugins.mk
# plugins-bench, bench-peers
include bench/programs.mk

.PHONY: help build demo test chaos check lint fmt-check vet-all tidy-check race bench bench-wasmtime bench-compiles fuzz clean

help: ## this list
	@echo "make TARGET:"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo "  plugins          build/plugins (shipped) and build/testdata (for tests), from source"
	@echo "  toolchains       install what the plugins of other languages are built with"

build: try-interpreters ## build/taskhost, the CLI
	$(PLAIN) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BUILD)/taskhost ./cmd/taskhost

DEMO_IN  := README.md
DEMO_OUT := $(BUILD)/demo/readme.html

demo: build plugins-shipped ## build the CLI and its plugins and run them on a real document; needs Go, git and make
	@mkdir -p $(BUILD)/demo
	@printf '\n$$ taskhost plugins -p $(BUILD)/plugins\n'
	@$(BUILD)/taskhost plugins -p $(BUILD)/plugins
	@printf '\n$$ taskhost call -p $(BUILD)/plugins agent count --arg steps=20 --arg delay_ms=100\n'
	@$(BUILD)/taskhost call -p $(BUILD)/plugins agent count --arg steps=20 --arg delay_ms=100
	@printf '\n$$ taskhost run -v -p $(BUILD)/plugins -i $(DEMO_IN) -o $(DEMO_OUT) text markdown\n'
	@$(BUILD)/taskhost run -v -p $(BUILD)/plugins -i $(DEMO_IN) -o $(DEMO_OUT) text markdown
	@printf '\nThe first lines of $(DEMO_OUT):\n\n'
	@head -n 8 $(DEMO_OUT) | cut -c 1-160
	@printf '\n$$ taskhost run -p $(BUILD)/plugins csv:json json:query template -i testdata/data/debian.csv --set json.query=… --set template.template=…\n'
	@$(BUILD)/taskhost run -p $(BUILD)/plugins csv:json json:query template -i testdata/data/debian.csv \
		--set 'json.query=[.[] | select((.eol // "") > "2026")]' \
		--set 'template.template={{range .}}Debian {{.version}} "{{.codename}}" is kept until {{.eol}}.{{"\n"}}{{end}}'
	@printf '\nOpen it in a browser: %s\n' "file://$$(pwd)/$(DEMO_OUT)"
	@printf '\nTry next:\n'
	@printf '  echo "# Hi *you*" | $(BUILD)/taskhost run -p $(BUILD)/plugins markdown\n'
	@printf '  $(BUILD)/taskhost batch -p $(BUILD)/plugins text markdown -- *.md\n'
	@printf '  $(BUILD)/taskhost inspect -p $(BUILD)/plugins markdown\n'
	@printf '  drop any .wasm made with an Extism PDK, or any WASI command, into $(BUILD)/plugins, and run it by its name\n'

# Building taskhost is mostly the compiler on one large file of SQLite's, on one core: the plugins are built beside it.
test: toolchains ## everything that CI runs: toolchains, plugins, vet, all tests under the race detector
	$(MAKE) -j2 interpreters
	$(MAKE) -j2 build plugins
	$(PLAIN) vet -trimpath ./...
	$(MAKE) race
	$(MAKE) kills
	$(MAKE) test-plugins
	$(MAKE) bench-compiles

# These run thousands of modules as they are and instrumented, each on one goroutine: the race detector has nothing to find there, and
# compiling takes ten times as long under it.
ALONE := ^(TestSpecSuite|TestRandomModules|TestTimeIsLinear|TestTranslatedModules|TestCompileBombs)$$

# These compare what two hosts give, or a host and an oracle, call by call, with every plugin that there is. Under the race detector
# compiling a plugin takes ten times as long, and so does the oracle; the machine code is the same. So they run without it, which fills the
# caches for all others. TestPristineIsFreshWithoutTheSystemsHelp goes through the same plugins under the race detector.
COMPARE := ^(TestOracle|TestPristineIsFresh|TestTranslatedPlugins|TestExamineTellsWhatAHostTells)$$

.PHONY: warm
warm: build plugins
	@$(BUILD)/taskhost plugins -p $(BUILD)/plugins >/dev/null
	$(PLAIN) test -trimpath -run '$(COMPARE)' ./host

# A thousand kills take too long under the race detector, where there are fewer of them.
.PHONY: kills
kills:
	$(PLAIN) test -trimpath -count=1 -run '^TestMemoryAndCompletion$$' ./manager/sqlitestore

chaos: build plugins ## the tests that kill taskhost, CHAOS_KILLS times (500), and the model for longer
	CHAOS_KILLS=$(CHAOS_KILLS) $(GO) test -count=1 -timeout 60m -run '^(TestChaos|TestMemoryAndCompletion)$$' -v ./cmd/taskhost ./manager/sqlitestore
	$(GO) test -count=1 -timeout 60m -run '^TestModel$$' ./manager -rapid.checks=3000

check: export SCRIPTS_RACE = 1
check: fmt-check lint vet-all tidy-check race ## format, lint, vet for three systems, tidy modules, tests under the race detector

fmt-check:
	@out=$$(git ls-files -z -- '*.go' | xargs -0 gofmt -l); if [ -n "$$out" ]; then echo "run gofmt -w on:"; echo "$$out"; exit 1; fi

lint: ## golangci-lint with .golangci.yml, pinned in tools/go.mod
	$(LINT) run ./...

vet-all:
	GOOS=linux $(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...

tidy-check:
	$(GO) mod tidy -diff

race: warm
	$(GO) test -race -timeout 15m -skip '$(ALONE)|$(COMPARE)' ./...
	$(PLAIN) test -trimpath -count=1 -run '$(ALONE)' ./host/internal/instrument

bench: plugins plugins-bench bench-peers ## taskhost and its peers side by side, in one run; then Wasmtime, for reference
	cd bench && $(GO) run .
	@$(MAKE) --no-print-directory bench-wasmtime

bench-wasmtime: plugins plugins-bench ## the part of bench that runs Wasmtime
	@if ! command -v "$$(GOFLAGS= $(GO) env CC)" >/dev/null; then \
		echo "Wasmtime is left out: its Go binding needs a C compiler. On Debian: apt-get install gcc libc6-dev"; \
	else cd bench/wasmtime && CGO_ENABLED=1 $(GO) run .; fi

bench-compiles:
	cd bench && $(GO) vet ./...

# Whatever input is new go test would first spend a minute on to make it smaller; 20 tries are enough.
fuzz: ## every fuzz target for FUZZTIME (10s)
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$pkg; \
		done; \
	done

clean: ## remove what was built
	rm -rf $(BUILD)
