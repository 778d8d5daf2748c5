package host

import "github.com/taskhost/taskhost/host/internal/linmem"

// MemoryInUse is what the memories of all instances have taken of Config.MaxMemory, in bytes.
func (h *Host) MemoryInUse() int64 { return h.budget.used.Load() }

// HostSignatures are the types of the functions that guests can import, by module.name.
func HostSignatures() map[string]string { return hostSignatures() }

// MakePortable lets a host without plugins keep memories as on a system that does not tell which pages were written.
func (h *Host) MakePortable() error {
	err := h.memory.Close()
	h.memory = linmem.Portable()
	return err
}
