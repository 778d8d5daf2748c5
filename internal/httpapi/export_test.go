package httpapi

import "time"

// Encoded is how often an event was encoded.
func (h *Events) Encoded() uint64 { return h.encoded.Load() }

// Recording reports whether events are kept.
func (h *Events) Recording() bool { return h.recording.Load() }

// Sample adds a point to the history.
func (a *API) Sample(now time.Time) { a.history.sample(a.history.ctx, now) }

// BucketOf is the longest duration of the bucket that a duration falls into, in seconds.
func BucketOf(d time.Duration) float64 { return bucketTop(bucket(d)) }

// BodiesHeld is how many bytes of large bodies are held.
func (a *API) BodiesHeld() int64 { return a.bodies.used.Load() }
