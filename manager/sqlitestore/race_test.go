//go:build race

package sqlitestore_test

// raceDetector: the test runs under the race detector.
const raceDetector = true
