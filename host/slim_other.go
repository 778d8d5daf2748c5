//go:build !linux

package host

// slim does nothing here.
func (i *instance) slim() {}
