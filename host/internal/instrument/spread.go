package instrument

import (
	"runtime"
	"sync"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// runBytes is how much code makes a run of functions worth a goroutine.
const runBytes = 64 << 10

// runs is the number of runs that spread makes of the module's functions.
func runs(m *wasm.Module) int {
	bytes := 0
	for i := range m.Codes {
		bytes += len(m.Codes[i].Body)
	}
	return min(runtime.GOMAXPROCS(0), 1+bytes/runBytes)
}

// spread cuts the functions that the module defines into runs of about equal size, and calls do for each of them, [from, to), on a
// goroutine of its own. Its error is that of the first run that has one.
func spread(m *wasm.Module, do func(run, from, to int) error) error {
	n := runs(m)
	if n == 1 {
		return do(0, 0, len(m.Codes))
	}
	bytes := 0
	for i := range m.Codes {
		bytes += len(m.Codes[i].Body)
	}
	errs := make([]error, n)
	var group sync.WaitGroup
	from, seen := 0, 0
	for run := range n {
		to := from
		for to < len(m.Codes) && (run == n-1 || seen < bytes/n*(run+1)) {
			seen += len(m.Codes[to].Body)
			to++
		}
		first := from
		group.Go(func() { errs[run] = do(run, first, to) })
		from = to
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
