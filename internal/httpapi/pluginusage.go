package httpapi

import (
	"sync"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// maxUsages bounds the plugins whose usage is kept. Those that are gone are forgotten.
const maxUsages = 10_000

// usages sums up what the calls of plugins cost.
type usages struct {
	mu sync.Mutex
	of map[string]*abi.PluginUsage
}

// HostEvent takes an event of the host in: it goes into host.Config.OnEvent. Without it GET /v1/plugins knows nothing of calls.
func (h *Events) HostEvent(e host.Event) {
	switch e.Kind {
	case host.EventCall:
		h.usages.add(&e)
	case host.EventRemove:
		h.usages.forget(e.Plugin)
	}
}

func (u *usages) add(e *host.Event) {
	u.mu.Lock()
	defer u.mu.Unlock()
	sum := u.of[e.Plugin]
	if sum == nil {
		if len(u.of) >= maxUsages {
			return
		}
		if u.of == nil {
			u.of = map[string]*abi.PluginUsage{}
		}
		sum = &abi.PluginUsage{}
		u.of[e.Plugin] = sum
	}
	sum.Calls++
	if e.Err != nil {
		sum.Errors++
	}
	sum.Usage = sum.Add(e.Usage)
}

func (u *usages) forget(plugin string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.of, plugin)
}

// usage is what the calls of a plugin cost together.
func (h *Events) usage(plugin string) abi.PluginUsage {
	if h == nil {
		return abi.PluginUsage{}
	}
	h.usages.mu.Lock()
	defer h.usages.mu.Unlock()
	if sum := h.usages.of[plugin]; sum != nil {
		return *sum
	}
	return abi.PluginUsage{}
}
