package manager

import (
	"slices"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// or fills the zero fields of r from def.
func (r Retry) or(def Retry) Retry {
	r.MaxAttempts = or(r.MaxAttempts, def.MaxAttempts)
	r.Backoff = or(r.Backoff, def.Backoff)
	r.MaxBackoff = or(r.MaxBackoff, def.MaxBackoff)
	if r.Codes == nil {
		r.Codes = def.Codes
	}
	return r
}

func (r *Retry) validate() error {
	switch {
	case r.MaxAttempts < 1 || r.MaxAttempts > MaxAttempts:
		return abi.Errorf(abi.CodeInvalid, "max attempts is %d; it must be between 1 and %d", r.MaxAttempts, MaxAttempts)
	case r.Backoff < 0 || r.Backoff > MaxTimeout:
		return abi.Errorf(abi.CodeInvalid, "backoff is %v; it must be between 0 and %v", r.Backoff, MaxTimeout)
	case r.MaxBackoff < 0 || r.MaxBackoff > MaxTimeout:
		return abi.Errorf(abi.CodeInvalid, "max backoff is %v; it must be between 0 and %v", r.MaxBackoff, MaxTimeout)
	}
	if len(r.Codes) > len(abi.Codes()) {
		return abi.Errorf(abi.CodeInvalid, "there are more retry codes than codes")
	}
	for _, code := range r.Codes {
		if !slices.Contains(abi.Codes(), code) {
			return abi.Errorf(abi.CodeInvalid, "%q is no error code", code)
		}
	}
	return nil
}

// again reports whether an error of this code is worth another try after so many attempts.
func (r *Retry) again(code abi.Code, attempts int) bool {
	if attempts >= r.MaxAttempts || code == abi.CodeCancelled || code == abi.CodeShutdown {
		return false
	}
	if r.Codes == nil {
		return code.Temporary()
	}
	return slices.Contains(r.Codes, code)
}

// wait is how long to wait after so many attempts; jitter is a random number, 0 ≤ jitter < 1.
func (r *Retry) wait(attempts int, jitter float64) time.Duration {
	d := r.Backoff
	for i := 1; i < attempts && d < r.MaxBackoff; i++ {
		d *= 2
	}
	d = min(d, r.MaxBackoff)
	return d - time.Duration(float64(d)*jitter/2)
}
