// Package sdktest calls the exported functions of a plugin written with the Go SDK, in an ordinary test on the platform at hand:
// no Wasm, no host. What the sandbox does (limits, isolation, cancelling a loop) is not there.
package sdktest
