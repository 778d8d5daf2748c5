package host

// MemoryInUse is what the memories of all instances have taken of Config.MaxMemory, in bytes.
func (h *Host) MemoryInUse() int64 { return h.budget.used.Load() }

// HostSignatures are the types of the functions that guests can import, by module.name.
func HostSignatures() map[string]string { return hostSignatures() }
