package manager

// NewMemoryStore makes a store that keeps everything in memory, Go functions included, and forgets it with the process.
func NewMemoryStore() Store { panic("todo") }
