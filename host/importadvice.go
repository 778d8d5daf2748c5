package host

import (
	"strings"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// word is how a function for guests is called in the SDKs.
type word struct{ params, goName, rust, c, as string }

// String shows a function's parameters and its words.
func (w word) String(name string) string {
	text := name + w.params
	if w.goName == "" {
		return text
	}
	return text + ": in Go taskhost." + w.goName + ", in Rust taskhost::" + w.rust + ", in C " + w.c + ", in AssemblyScript " + w.as
}

// guestWords are the functions for guests in the words of each SDK. docs/guest-functions.md has the same table.
var guestWords = map[string]word{
	"taskhost_progress":        {"(step i32, total i32, fraction f64, message i64)", "Progress", "progress", "taskhost_progress", "progress"},
	"taskhost_cancelled":       {"() -> i32", "Cancelled", "cancelled", "taskhost_cancelled", "cancelled"},
	"taskhost_metric_add":      {"(name i64, value f64, labels i64) -> i64", "MetricAdd", "metric_add", "taskhost_metric_add", "metricAdd"},
	"taskhost_metric_set":      {"(name i64, value f64, labels i64) -> i64", "MetricSet", "metric_set", "taskhost_metric_set", "metricSet"},
	"taskhost_metric_observe":  {"(name i64, value f64, labels i64) -> i64", "MetricObserve", "metric_observe", "taskhost_metric_observe", "metricObserve"},
	"taskhost_invalid_input":   {"(message i64)", "InvalidInput", "Error::invalid", "taskhost_invalid", "invalidInput"},
	"taskhost_checkpoint_save": {"(state i64) -> i64", "SaveCheckpoint", "save_checkpoint", "taskhost_save_checkpoint", "saveCheckpoint"},
	"taskhost_checkpoint_load": {"() -> i64", "LoadCheckpoint", "load_checkpoint", "taskhost_load_checkpoint", "loadCheckpoint"},
	"taskhost_read":            {"(offset i64, pointer i32, length i32)", "Process", "process!", "taskhost_input", "input"},
	"taskhost_write":           {"(offset i64, pointer i32, length i32)", "Process", "process!", "taskhost_output", "output"},
	"config_get":               {"(key i64) -> i64", "Config", "config", "taskhost_config", "config"},
	"var_get":                  {"(key i64) -> i64", "Var", "var", "taskhost_var", "getVar"},
	"var_set":                  {"(key i64, value i64)", "SetVar", "set_var", "taskhost_set_var", "setVar"},
	"http_request":             {"(request i64, body i64) -> i64", "HTTP", "http", "taskhost_http", "http"},
	"log_info":                 {"(message i64)", "Log", "log", "taskhost_log", "log"},
	"log_debug":                {"(message i64)", "Log", "log", "taskhost_log", "log"},
	"log_warn":                 {"(message i64)", "Log", "log", "taskhost_log", "log"},
	"log_error":                {"(message i64)", "Log", "log", "taskhost_log", "log"},
	"error_set":                {"(offset i64)", "Process", "process!", "taskhost_fail", "fail"},
	"output_set":               {"(offset i64, length i64)", "Process", "process!", "taskhost_output", "output"},
	"alloc":                    {params: "(length i64) -> i64; offsets of blocks have 64 bits in every guest"},
	"free":                     {params: "(offset i64); offsets of blocks have 64 bits in every guest"},
	"length":                   {params: "(offset i64) -> i64; offsets of blocks have 64 bits in every guest"},
}

// advised is what to do about imports of another system.
type advised struct {
	modules  []string // exact, or with a * at the end
	names    []string // likewise; none: all
	notFuncs bool     // memories, tables and globals alone
	text     string
}

func (a *advised) matches(imp *wasm.Import) bool {
	return !(a.notFuncs && imp.Kind == wasm.KindFunc) && matchesAny(a.modules, imp.Module) && (len(a.names) == 0 || matchesAny(a.names, imp.Name))
}

func matchesAny(patterns []string, s string) bool {
	for _, p := range patterns {
		if prefix, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(s, prefix) || p == s {
			return true
		}
	}
	return false
}

// advice is searched from the top.
var advice = []advised{
	{modules: []string{"gojs", "go"}, text: "it was built for a JavaScript host: build it with GOOS=wasip1 GOARCH=wasm, not GOOS=js"},
	{modules: []string{"__wbindgen_*", "wbg", "./*"},
		text: "it was built with wasm-bindgen for a JavaScript host: build it without that crate, js-sys and web-sys (and getrandom's feature js), with the taskhost crate, " +
			"for the target wasm32-unknown-unknown or wasm32-wasip1"},
	{modules: []string{"wasi:*", "wasi_cli*"},
		text: "that is WASI preview 2: build it for preview 1 (Rust: --target wasm32-wasip1; TinyGo: -target=wasip1; componentize tools are not needed)"},
	{modules: []string{"wasi_unstable"}, text: "that is WASI's preview 0: build it with a newer compiler or wasi-sdk, which use wasi_snapshot_preview1"},
	{modules: []string{"wasi"}, names: []string{"thread-spawn"}, text: "an instance has one thread: build it without -pthread, for wasm32-wasi and not wasm32-wasi-threads"},
	{modules: []string{"wasix_*"}, text: "that is WASIX: build it for plain WASI preview 1"},
	{modules: []string{"wasi_*"}, text: "of WASI there is wasi_snapshot_preview1 alone"},
	{modules: []string{"javy_*"}, text: "it needs Javy's provider: build it without -C dynamic, or let taskhost run the .js file itself"},
	{modules: []string{"GOT.*"}, text: "it is a dynamic library: link it without -shared and -fPIC"},
	{modules: []string{"env"}, names: []string{"memory"}, notFuncs: true, text: "it wants its memory from outside: link it without --import-memory"},
	{modules: []string{"env"}, names: []string{"__stack_pointer", "__memory_base", "__table_base", "__indirect_function_table"}, notFuncs: true,
		text: "it is a dynamic library, or a single object file: link it with wasm-ld, without -shared"},
	{modules: []string{"env"}, names: []string{"emscripten_*", "_emscripten_*", "__syscall*", "invoke_*", "_embind_*", "_emval_*", "__asyncjs__*", "_abort_js", "_tzset_js", "_mmap_js", "_munmap_js"},
		text: "it was built with Emscripten for a JavaScript host: build it with clang --target=wasm32-wasi, or with emcc -sSTANDALONE_WASM --no-entry"},
	{modules: []string{"a"}, text: "it was built with Emscripten, which has shortened the names, for a JavaScript host: build it with clang --target=wasm32-wasi, or with emcc -sSTANDALONE_WASM --no-entry"},
	{modules: []string{"env"}, names: []string{"abort"}, text: "that is AssemblyScript's: build it with asc --use abort= (or --use abort=FILE/abort with a function of your own)"},
	{modules: []string{"env"}, names: []string{"seed"}, text: "that is AssemblyScript's Math.random: build it with asc --use seed=FILE/seed and a function of your own"},
	{modules: []string{"env"}, names: []string{"trace", "console.*", "Date.*", "process.*", "performance.*", "Math.*"},
		text: "that is AssemblyScript's way to JavaScript: use the SDK's log in its place"},
	{modules: []string{"env"}, names: []string{"__main_argc_argv", "__main_void", "main"},
		text: "there is no main function: write one, or link a library without an entry (clang -mexec-model=reactor -Wl,--no-entry)"},
	{modules: []string{"env"}, names: []string{"__cxa_*", "_Unwind_*"}, text: "that is for C++ exceptions: build it with -fno-exceptions"},
}
