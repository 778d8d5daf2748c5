//go:build race

package host_test

// raceDetector: the test runs under the race detector, whose own memory grows and is not given back.
const raceDetector = true
