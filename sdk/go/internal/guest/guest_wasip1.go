// Package guest is the guest's side of the contract with the host: on wasip1 the host's functions, elsewhere a fake of them.
// The functions are described in github.com/taskhost/taskhost/abi, which is not imported here to keep plugins small.
package guest

import (
	"runtime"
	"unsafe"
)

// Input is the input of the call; the caller may keep and change it.
func Input() []byte { return load(inputOffset(), inputLength()) }

// SetOutput makes b the output of the call.
func SetOutput(b []byte) { outputSet(store(unsafe.SliceData(b), len(b)), uint64(len(b))) }

// SetError makes the message the error of the call, which still has to return a value other than 0.
func SetError(message string) { errorSet(storeString(message)) }

// SetInvalid is SetError for an error of the input.
func SetInvalid(message string) { invalidInput(storeString(message)) }

// Progress reports progress.
func Progress(step, total int32, fraction float64, message string) {
	o := storeString(message)
	progress(step, total, fraction, o)
	release(o)
}

// Cancelled tells whether the task is to stop.
func Cancelled() bool { return cancelled() != 0 }

// MetricAdd returns "" or why the host did not take it.
func MetricAdd(name string, value float64, labels string) string {
	n, l := storeString(name), storeString(labels)
	return rejected(metricAdd(n, value, l), n, l)
}

// MetricSet returns "" or why the host did not take it.
func MetricSet(name string, value float64, labels string) string {
	n, l := storeString(name), storeString(labels)
	return rejected(metricSet(n, value, l), n, l)
}

// MetricObserve returns "" or why the host did not take it.
func MetricObserve(name string, value float64, labels string) string {
	n, l := storeString(name), storeString(labels)
	return rejected(metricObserve(n, value, l), n, l)
}

func rejected(message uint64, blocks ...uint64) string {
	for _, o := range blocks {
		release(o)
	}
	if message == 0 {
		return ""
	}
	return string(take(message))
}

// SaveCheckpoint returns "" or why the host did not keep it. An empty state forgets the checkpoint.
func SaveCheckpoint(state []byte) string {
	s := store(unsafe.SliceData(state), len(state))
	return rejected(checkpointSave(s), s)
}

// LoadCheckpoint returns the state that was saved last, nil if there is none.
func LoadCheckpoint() []byte { return take(checkpointLoad()) }

// Config returns the value of a configuration key.
func Config(key string) ([]byte, bool) {
	k := storeString(key)
	v := configGet(k)
	value := take(v)
	release(k)
	return value, v != 0
}

// Var returns a var.
func Var(key string) ([]byte, bool) {
	k := storeString(key)
	v := varGet(k) // frees the key, so that the value may stand in its place
	return take(v), v != 0
}

// SetVar sets a var, or removes it when the value is empty.
func SetVar(key string, value []byte) {
	k := storeString(key)
	varSet(k, store(unsafe.SliceData(value), len(value))) // frees both
}

// LogLevel is the lowest level that the host takes.
func LogLevel() int32 { return getLogLevel() }

// Log logs a message: trace, debug, info, warn, error are 0 to 4.
func Log(level int32, message string) {
	o := storeString(message)
	switch level {
	case 0:
		logTrace(o)
	case 1:
		logDebug(o)
	case 2:
		logInfo(o)
	case 3:
		logWarn(o)
	default:
		logError(o)
	}
	release(o)
}

// HTTP makes a request: meta is a JSON object with method, url and headers. The headers returned are a JSON object.
func HTTP(meta, body []byte) (status int, headers, response []byte) {
	m, b := store(unsafe.SliceData(meta), len(meta)), store(unsafe.SliceData(body), len(body))
	response = take(httpRequest(m, b)) // which frees both
	status = int(httpStatusCode())
	headers = take(httpHeaders())
	return status, headers, response
}

func storeString(s string) uint64 { return store(unsafe.StringData(s), len(s)) }

// store copies n bytes at p into a new block.
func store(p *byte, n int) uint64 {
	if n == 0 {
		return 0
	}
	o := alloc(uint64(n))
	write(o, unsafe.Pointer(p), uint32(n))
	runtime.KeepAlive(p)
	return o
}

func load(offset, n uint64) []byte {
	b := make([]byte, n)
	if n > 0 {
		read(offset, unsafe.Pointer(unsafe.SliceData(b)), uint32(n))
	}
	return b
}

// take loads a block and frees it.
func take(offset uint64) []byte {
	if offset == 0 {
		return nil
	}
	b := load(offset, length(offset))
	release(offset)
	return b
}
