package guest

import "unsafe"

//go:wasmimport extism:host/env alloc
func alloc(n uint64) uint64

//go:wasmimport extism:host/env free
func release(offset uint64)

//go:wasmimport extism:host/env length
func length(offset uint64) uint64

//go:wasmimport extism:host/env input_offset
func inputOffset() uint64

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env output_set
func outputSet(offset, n uint64)

//go:wasmimport extism:host/env error_set
func errorSet(offset uint64)

//go:wasmimport extism:host/env config_get
func configGet(key uint64) uint64

//go:wasmimport extism:host/env var_get
func varGet(key uint64) uint64

//go:wasmimport extism:host/env var_set
func varSet(key, value uint64)

//go:wasmimport extism:host/env http_request
func httpRequest(meta, body uint64) uint64

//go:wasmimport extism:host/env http_status_code
func httpStatusCode() int32

//go:wasmimport extism:host/env http_headers
func httpHeaders() uint64

//go:wasmimport extism:host/env log_trace
func logTrace(message uint64)

//go:wasmimport extism:host/env log_debug
func logDebug(message uint64)

//go:wasmimport extism:host/env log_info
func logInfo(message uint64)

//go:wasmimport extism:host/env log_warn
func logWarn(message uint64)

//go:wasmimport extism:host/env log_error
func logError(message uint64)

//go:wasmimport extism:host/env get_log_level
func getLogLevel() int32

//go:wasmimport extism:host/user taskhost_progress
func progress(step, total int32, fraction float64, message uint64)

//go:wasmimport extism:host/user taskhost_cancelled
func cancelled() int32

//go:wasmimport extism:host/user taskhost_metric_add
func metricAdd(name uint64, value float64, labels uint64) uint64

//go:wasmimport extism:host/user taskhost_metric_set
func metricSet(name uint64, value float64, labels uint64) uint64

//go:wasmimport extism:host/user taskhost_metric_observe
func metricObserve(name uint64, value float64, labels uint64) uint64

//go:wasmimport extism:host/user taskhost_invalid_input
func invalidInput(message uint64)

//go:wasmimport extism:host/user taskhost_checkpoint_save
func checkpointSave(state uint64) uint64

//go:wasmimport extism:host/user taskhost_checkpoint_load
func checkpointLoad() uint64

//go:wasmimport extism:host/user taskhost_read
//go:noescape
func read(offset uint64, to unsafe.Pointer, n uint32)

//go:wasmimport extism:host/user taskhost_write
//go:noescape
func write(offset uint64, from unsafe.Pointer, n uint32)
