package host

import "github.com/taskhost/taskhost/host/internal/linmem"

// MakePortable lets a host without plugins keep memories as on a system that does not tell which pages were written.
func (h *Host) MakePortable() error {
	err := h.memory.Close()
	h.memory = linmem.Portable()
	return err
}
