# Builds every plugin from source. Included by the Makefile; "make -f plugins.mk plugins" works too.
#
#   plugins           the shipped plugins and those of testdata
#   plugins-shipped   $(BUILD)/plugins: needs Go alone
#   plugins-testdata  $(BUILD)/testdata: the plugins of other languages, and small guests, hostile ones among them, for the tests of the host
#   toolchains        checks the other languages' tools; as root on Debian it installs what is missing (TOOLCHAINS=check: never)
#   test-plugins      tests of the shipped plugins on this machine's own platform, then of what was built, on the host

BUILD      ?= build
GO         ?= go
CLANG      ?= clang
WAT2WASM   ?= wat2wasm
NPM        ?= npm
# Debian's own rustc knows where Debian's wasm32 libraries are; one from rustup may come first in PATH and does not.
# The shell looks when the recipe runs, for it may have just been installed.
RUSTC      ?= $$(test -x /usr/bin/rustc && echo /usr/bin/rustc || echo rustc)
TOOLCHAINS ?= install

SHIPPED  := $(BUILD)/plugins
TESTS    := $(BUILD)/testdata
GUESTS   := $(TESTS)/guests
BROKEN   := $(TESTS)/broken
HOSTILE  := $(TESTS)/hostile
CONTRACT := $(TESTS)/contract
SMALL    := $(TESTS)/small
TOOLS    := $(BUILD)/.toolchains

# The same sources give the same bytes: no paths, no version control state, no debug information.
GO_WASM    = GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags='-s -w'
GO_PLUGIN  = $(GO_WASM) -buildmode=c-shared
CLANG_WASM = $(CLANG) --target=wasm32 -O2 -Wall -Wextra -Werror -mbulk-memory -nostdlib \
	-Wl,--no-entry -Wl,--stack-first -Wl,-z,stack-size=32768
CLANG_WASI = $(CLANG) --target=wasm32-wasi -ftls-model=local-exec -O2 -Wall -Wextra -Werror -mbulk-memory -Wl,--strip-debug

# A plugin appears in its folder at once and whole: recipes build $(new) beside it, and end in $(publish).
new     = $(dir $@).$(notdir $@).new
publish = mv -f $(new) $@

SDK_GO    := go.mod $(filter-out %_test.go,$(wildcard sdk/go/*.go sdk/go/*/*.go sdk/go/*/*/*.go))
PLUGIN_GO  = $(filter-out %_test.go,$(wildcard $(1)/*.go)) $(SDK_GO) plugins/go.mod plugins/go.sum

shipped_names := agent text markdown
shipped  := $(foreach n,$(shipped_names),$(SHIPPED)/$(n).wasm $(SHIPPED)/$(n).json)
guests   := $(patsubst testdata/guests/%.c,$(GUESTS)/%.wasm,$(wildcard testdata/guests/*.c)) \
	$(patsubst testdata/guests/%.wat,$(GUESTS)/%.wasm,$(wildcard testdata/guests/*.wat))
broken   := $(patsubst testdata/guests/broken/%.wat,$(BROKEN)/%.wasm,$(wildcard testdata/guests/broken/*.wat)) \
	$(BROKEN)/not-wasm.wasm $(BROKEN)/truncated.wasm
hostile  := $(patsubst testdata/hostile/%.c,$(HOSTILE)/%.wasm,$(wildcard testdata/hostile/*.c)) \
	$(patsubst testdata/hostile/%.wat,$(HOSTILE)/%.wasm,$(wildcard testdata/hostile/*.wat testdata/hostile/load/*.wat))
small    := $(foreach n,go rust c cpp as wat wasi,$(SMALL)/$(n).wasm)
contract := $(foreach n,go rust c cpp c-wasi as wat,$(CONTRACT)/$(n).wasm)
testdata := $(foreach n,upper-go upper-c upper-rust upper-as upper-wat echo-go sdk-go extism-go filter-c filter-go files-c kernels,$(TESTS)/$(n).wasm) \
	$(guests) $(broken) $(hostile) $(contract) $(small)

.PHONY: plugins plugins-shipped plugins-testdata toolchains test-plugins
plugins: plugins-shipped plugins-testdata $(TESTS)/axe.js
plugins-shipped: $(shipped)
plugins-testdata: $(testdata)

$(SHIPPED) $(TESTS) $(GUESTS) $(BROKEN) $(HOSTILE) $(HOSTILE)/load $(CONTRACT) $(SMALL):
	@mkdir -p $@

toolchains:
	@mkdir -p $(BUILD)
	@CLANG='$(CLANG)' RUSTC="$(RUSTC)" WAT2WASM='$(WAT2WASM)' NPM='$(NPM)' GO='$(GO)' testdata/toolchains.sh $(TOOLCHAINS)
	@touch $(TOOLS)

$(TOOLS): testdata/toolchains.sh
	@$(MAKE) --no-print-directory $(if $(filter plugins.mk,$(firstword $(MAKEFILE_LIST))),-f plugins.mk) toolchains

test-plugins: plugins
	cd plugins && $(GO) vet ./... && $(GO) test ./...
	$(GO) vet ./testdata ./testdata/upper-go ./testdata/echo-go ./testdata/sdk-go ./testdata/filter-go ./testdata/contract/go
	$(RUSTC) --edition 2021 --test -o $(TESTS)/sdk-rust-test sdk/rust/src/lib.rs && $(TESTS)/sdk-rust-test -q
	RUSTC="$(RUSTC)" $(GO) test -timeout 5m ./testdata

# --- shipped

$(SHIPPED)/agent.wasm: $(call PLUGIN_GO,plugins/agent) | $(SHIPPED)
	cd plugins && $(GO_PLUGIN) -o $(abspath $(new)) ./agent
	@$(publish)

$(SHIPPED)/text.wasm: $(call PLUGIN_GO,plugins/processors/text) | $(SHIPPED)
	cd plugins && $(GO_PLUGIN) -o $(abspath $(new)) ./processors/text
	@$(publish)

$(SHIPPED)/markdown.wasm: $(call PLUGIN_GO,plugins/processors/markdown) | $(SHIPPED)
	cd plugins && $(GO_PLUGIN) -o $(abspath $(new)) ./processors/markdown
	@$(publish)

$(SHIPPED)/agent.json: plugins/agent/agent.json
$(SHIPPED)/text.json: plugins/processors/text/text.json
$(SHIPPED)/markdown.json: plugins/processors/markdown/markdown.json
$(SHIPPED)/%.json: | $(SHIPPED)
	@cp $< $(new) && $(publish)

# --- the same processor in several languages, and programs that know nothing of taskhost

$(TESTS)/upper-go.wasm: $(wildcard testdata/upper-go/*.go) $(SDK_GO) | $(TESTS)
	$(GO_PLUGIN) -o $(new) ./testdata/upper-go
	@$(publish)

$(TESTS)/echo-go.wasm: $(wildcard testdata/echo-go/*.go) $(SDK_GO) | $(TESTS)
	$(GO_PLUGIN) -o $(new) ./testdata/echo-go
	@$(publish)

$(TESTS)/sdk-go.wasm: $(wildcard testdata/sdk-go/*.go) $(SDK_GO) | $(TESTS)
	$(GO_PLUGIN) -o $(new) ./testdata/sdk-go
	@$(publish)

$(TESTS)/upper-c.wasm: testdata/upper-c/upper.c | $(TESTS) $(TOOLS)
	$(CLANG_WASM) -o $(new) $<
	@$(publish)

$(TESTS)/upper-rust.wasm: testdata/upper-rust/upper.rs | $(TESTS) $(TOOLS)
	$(RUSTC) --edition 2021 --target wasm32-unknown-unknown --crate-type cdylib -C opt-level=s -C panic=abort -C lto -C strip=debuginfo \
		-o $(new) $<
	@$(publish)

$(TESTS)/upper-as.wasm: testdata/upper-as/upper.ts testdata/upper-as/node_modules/.installed | $(TESTS)
	cd testdata/upper-as && node_modules/.bin/asc upper.ts --outFile $(abspath $(new)) --optimizeLevel 3 --shrinkLevel 1 --runtime stub \
		--use abort=
	@$(publish)

testdata/upper-as/node_modules/.installed: $(addprefix testdata/upper-as/,package.json package-lock.json .npmrc) | $(TOOLS)
	cd testdata/upper-as && $(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

# What tests check the accessibility of the web page with.
$(TESTS)/axe.js: $(addprefix testdata/axe/,package.json package-lock.json .npmrc) | $(TESTS) $(TOOLS)
	@mkdir -p $(BUILD)/axe && cp testdata/axe/package.json testdata/axe/package-lock.json testdata/axe/.npmrc $(BUILD)/axe/
	cd $(BUILD)/axe && $(NPM) ci --no-audit --no-fund --loglevel=error
	cp $(BUILD)/axe/node_modules/axe-core/axe.min.js $(new)
	@$(publish)

$(TESTS)/upper-wat.wasm: testdata/upper-wat/upper.wat | $(TESTS) $(TOOLS)
	$(WAT2WASM) --debug-names -o $(new) $<
	@$(publish)

$(TESTS)/extism-go.wasm: $(wildcard testdata/extism-go/*.go testdata/extism-go/go.*) | $(TESTS)
	cd testdata/extism-go && $(GO_PLUGIN) -o $(abspath $(new)) .
	@$(publish)

$(TESTS)/filter-c.wasm: testdata/filter-c/filter.c | $(TESTS) $(TOOLS)
	$(CLANG_WASI) -o $(new) $<
	@$(publish)

$(TESTS)/files-c.wasm: testdata/files-c/files.c | $(TESTS) $(TOOLS)
	$(CLANG_WASI) -o $(new) $<
	@$(publish)

$(TESTS)/kernels.wasm: testdata/kernels/kernels.c | $(TESTS) $(TOOLS)
	$(CLANG_WASM) -o $(new) $<
	@$(publish)

$(TESTS)/filter-go.wasm: $(wildcard testdata/filter-go/*.go) go.mod | $(TESTS)
	$(GO_WASM) -o $(new) ./testdata/filter-go
	@$(publish)

# --- the contract plugin in every language, each with its SDK: what the SDKs have in common

RUSTC_WASM = $(RUSTC) --edition 2021 --target wasm32-unknown-unknown -C opt-level=s -C panic=abort -C strip=debuginfo
ASC        = testdata/upper-as/node_modules/.bin/asc
ASC_FLAGS  = --optimizeLevel 3 --shrinkLevel 1 --runtime stub --use abort=sdk/assemblyscript/assembly/index/abort

$(CONTRACT)/go.wasm: $(wildcard testdata/contract/go/*.go) $(SDK_GO) | $(CONTRACT)
	$(GO_PLUGIN) -o $(new) ./testdata/contract/go
	@$(publish)

$(CONTRACT)/libtaskhost.rlib: sdk/rust/src/lib.rs $(wildcard sdk/rust/src/*.rs) | $(CONTRACT) $(TOOLS)
	$(RUSTC_WASM) --crate-type rlib --crate-name taskhost -o $@ $<

$(CONTRACT)/rust.wasm: testdata/contract/rust/contract.rs $(CONTRACT)/libtaskhost.rlib
	$(RUSTC_WASM) -C lto --crate-type cdylib --extern taskhost=$(CONTRACT)/libtaskhost.rlib -o $(new) $<
	@$(publish)

C_CONTRACT := testdata/contract/c/contract.h sdk/c/taskhost.h

$(CONTRACT)/c.wasm: testdata/contract/c/contract.c $(C_CONTRACT) | $(CONTRACT) $(TOOLS)
	$(CLANG_WASM) -Isdk/c -o $(new) $<
	@$(publish)

$(CONTRACT)/cpp.wasm: testdata/contract/c/contract.cc $(C_CONTRACT) | $(CONTRACT) $(TOOLS)
	$(CLANG_WASM) -Isdk/c -fno-exceptions -fno-rtti -o $(new) $<
	@$(publish)

$(CONTRACT)/c-wasi.wasm: testdata/contract/c/contract.c $(C_CONTRACT) | $(CONTRACT) $(TOOLS)
	$(CLANG_WASI) -mexec-model=reactor -Isdk/c -o $(new) $<
	@$(publish)

$(CONTRACT)/as.wasm: testdata/contract/as/contract.ts $(wildcard sdk/assemblyscript/assembly/*.ts) testdata/upper-as/node_modules/.installed | $(CONTRACT)
	$(ASC) $< --outFile $(new) $(ASC_FLAGS)
	@$(publish)

$(CONTRACT)/wat.wasm: testdata/contract/wat/contract.wat | $(CONTRACT) $(TOOLS)
	$(WAT2WASM) --debug-names -o $(new) $<
	@$(publish)

# --- the smallest processor in every language, for docs/languages.md: for size, without names

CLANG_SMALL = -Oz -Isdk/c -Wl,--strip-debug

$(SMALL)/go.wasm: testdata/small/upper.go $(SDK_GO) | $(SMALL)
	$(GO_PLUGIN) -o $(new) $<
	@$(publish)

$(SMALL)/rust.wasm: testdata/small/upper.rs $(CONTRACT)/libtaskhost.rlib | $(SMALL)
	$(RUSTC_WASM) -C opt-level=z -C lto -C strip=symbols --crate-type cdylib --extern taskhost=$(CONTRACT)/libtaskhost.rlib -o $(new) $<
	@$(publish)

$(SMALL)/c.wasm: testdata/small/upper.c sdk/c/taskhost.h | $(SMALL) $(TOOLS)
	$(CLANG_WASM) $(CLANG_SMALL) -o $(new) $<
	@$(publish)

$(SMALL)/cpp.wasm: testdata/small/upper.c sdk/c/taskhost.h | $(SMALL) $(TOOLS)
	$(CLANG_WASM) $(CLANG_SMALL) -x c++ -fno-exceptions -fno-rtti -o $(new) $<
	@$(publish)

$(SMALL)/as.wasm: testdata/small/upper.ts $(wildcard sdk/assemblyscript/assembly/*.ts) testdata/upper-as/node_modules/.installed | $(SMALL)
	$(ASC) $< --outFile $(new) $(ASC_FLAGS) --shrinkLevel 2
	@$(publish)

$(SMALL)/wat.wasm: testdata/small/upper.wat | $(SMALL) $(TOOLS)
	$(WAT2WASM) -o $(new) $<
	@$(publish)

$(SMALL)/wasi.wasm: testdata/small/upper-wasi.c | $(SMALL) $(TOOLS)
	$(CLANG_WASI) $(CLANG_SMALL) -o $(new) $<
	@$(publish)

# --- guests for the tests of the host

$(GUESTS)/%.wasm: testdata/guests/%.c testdata/guests/guest.h | $(GUESTS) $(TOOLS)
	$(CLANG_WASM) -o $(new) $<
	@$(publish)

$(GUESTS)/%.wasm: testdata/guests/%.wat | $(GUESTS) $(TOOLS)
	$(WAT2WASM) --debug-names -o $(new) $<
	@$(publish)

$(BROKEN)/invalid.wasm: testdata/guests/broken/invalid.wat | $(BROKEN) $(TOOLS)
	$(WAT2WASM) --no-check -o $(new) $<
	@$(publish)

$(BROKEN)/%.wasm: testdata/guests/broken/%.wat | $(BROKEN) $(TOOLS)
	$(WAT2WASM) --debug-names -o $(new) $<
	@$(publish)

$(BROKEN)/not-wasm.wasm: testdata/guests/broken/not-wasm.wasm.txt | $(BROKEN)
	@cp $< $(new) && $(publish)

$(BROKEN)/truncated.wasm: $(GUESTS)/env.wasm | $(BROKEN)
	@head -c 2000 $< > $(new) && $(publish)

# --- guests that mean harm; the large ones are made by the tests that use them

$(HOSTILE)/%.wasm: testdata/hostile/%.c testdata/guests/guest.h | $(HOSTILE) $(TOOLS)
	$(CLANG_WASM) -Itestdata/guests -o $(new) $<
	@$(publish)

$(HOSTILE)/%.wasm: testdata/hostile/%.wat | $(HOSTILE) $(HOSTILE)/load $(TOOLS)
	$(WAT2WASM) --enable-threads --enable-tail-call --debug-names -o $(new) $<
	@$(publish)
