# Builds the programs that "make bench" runs as guests: Go and C, as reactors with one function, run. Included by the Makefile.
#
#   plugins-bench   $(BUILD)/bench
#   bench-peers     the servers that bench measures
#
# The C sources of SQLite and zstd come from the Go modules that carry them; bench/go.mod says which.

BENCH    := $(BUILD)/bench
PROGRAMS := bench/programs
programs := $(foreach n,json markdown gojq sqlite zstd,$(BENCH)/$(n).wasm)

# The folder of a module's source; the shell looks when the recipe runs.
source_of = $$(cd bench && $(GO) mod download $(1) && $(GO) list -m -f '{{.Dir}}' $(1))
SQLITE    = $(call source_of,github.com/mattn/go-sqlite3)
ZSTD      = $(call source_of,github.com/DataDog/zstd)

CLANG_BENCH = $(CLANG_WASI) -mexec-model=reactor
# What others wrote is compiled as it is: its warnings are theirs.
CLANG_THEIRS = $(filter-out -Wall -Wextra -Werror -Wl%,$(CLANG_BENCH)) -w -c

.PHONY: plugins-bench
plugins-bench: $(programs) ## build/bench, the programs that bench runs as guests

$(BENCH) $(BENCH)/zstd:
	@mkdir -p $@

$(patsubst %,$(BENCH)/%.wasm,json markdown gojq): $(BENCH)/%.wasm: $(PROGRAMS)/%/main.go $(PROGRAMS)/words/words.go bench/go.mod | $(BENCH)
	cd bench && $(GO_PLUGIN) -o $(abspath $(new)) ./programs/$*
	@$(publish)

$(BENCH)/sqlite3.o: bench/go.mod | $(BENCH) $(TOOLS)
	sqlite=$(SQLITE) && $(CLANG_THEIRS) -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OS_OTHER=1 -DSQLITE_TEMP_STORE=3 \
		-o $(new) "$$sqlite/sqlite3-binding.c"
	@$(publish)

$(BENCH)/sqlite.wasm: $(PROGRAMS)/sqlite/sqlite.c $(BENCH)/sqlite3.o $(PROGRAMS)/words.h | $(TOOLS)
	sqlite=$(SQLITE) && $(CLANG_BENCH) -isystem "$$sqlite" -o $(new) $< $(BENCH)/sqlite3.o
	@$(publish)

# All but the formats of old versions.
$(BENCH)/zstd/built: bench/go.mod | $(BENCH)/zstd $(TOOLS)
	zstd=$(ZSTD) && cd $(BENCH)/zstd && $(CLANG_THEIRS) -DZSTD_LEGACY_SUPPORT=0 $$(ls "$$zstd"/*.c | grep -v '/zstd_v0')
	@touch $@

$(BENCH)/zstd.wasm: $(PROGRAMS)/zstd/zstd.c $(BENCH)/zstd/built $(PROGRAMS)/words.h | $(TOOLS)
	zstd=$(ZSTD) && $(CLANG_BENCH) -isystem "$$zstd" -o $(new) $< $(BENCH)/zstd/*.o
	@$(publish)

# The servers of the queues that bench measures.
.PHONY: bench-peers
bench-peers: ## installs PostgreSQL and Redis, which bench measures: as root, on Debian
	@bench/peers.sh
