package manager

// Subscription is a stream of events. It never slows the manager down: when its buffer is full, events are dropped and counted.
// So it is good for showing what goes on; whoever must not miss anything reads the tasks with Get or List, and uses events as a hint
// to do so.
type Subscription struct{}

// Events is closed when the subscription ends: by Close, by the end of the context given to Subscribe, or by Stop.
// What was buffered before can still be read.
func (s *Subscription) Events() <-chan Event { panic("todo") }

// Dropped is how many events were lost so far because the buffer was full.
func (s *Subscription) Dropped() uint64 { panic("todo") }

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() { panic("todo") }
