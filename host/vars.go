package host

import (
	"bytes"
	"maps"

	"github.com/taskhost/taskhost/abi"
)

// vars are a guest's vars: those of an instance, or those that a call has brought.
type vars struct {
	values map[string][]byte // the values are never changed
	owned  bool              // false: the map is somebody else's as well, and copied before the first change
	size   int64             // of all that are owned
}

// varOverhead is what a var costs besides the bytes of its name and value.
const varOverhead = 32

func varSize(name string, value []byte) int64 { return int64(len(name)+len(value)) + varOverhead }

// share is the same vars, to be changed without changing these, and the other way round.
func (s *vars) share() vars {
	s.owned = false
	return *s
}

// own makes the map one that may be changed.
func (s *vars) own() {
	if s.owned {
		return
	}
	s.owned, s.size = true, 0
	if s.values = maps.Clone(s.values); s.values == nil {
		s.values = map[string][]byte{}
	}
	for name, value := range s.values {
		s.size += varSize(name, value)
	}
}

func (s *vars) remove(name string) {
	if _, ok := s.values[name]; !ok {
		return
	}
	s.own()
	s.size -= varSize(name, s.values[name])
	delete(s.values, name)
}

// set copies the value; false if the vars would grow past the limit.
func (s *vars) set(name string, value []byte, limit int64) bool {
	s.own()
	more := varSize(name, value)
	if old, ok := s.values[name]; ok {
		more -= varSize(name, old)
	}
	if more > 0 && s.size+more > limit {
		return false
	}
	s.values[name] = bytes.Clone(value)
	s.size += more
	return true
}

// varsInUse are those that the guest sees: the call's own if it has brought any.
func (i *instance) varsInUse() *vars {
	if i.current.Vars != nil {
		return &i.callVars
	}
	return &i.vars
}

// takeVars are the vars of a call that has brought its own, as it has left them; nil if it has not.
func (i *instance) takeVars() map[string][]byte {
	values := i.callVars.values
	i.callVars = vars{}
	return values
}

func varGet(i *instance, stack []uint64) {
	name := stack[0]
	value, ok := i.varsInUse().values[string(i.block("var_get", name))]
	i.free(name)
	stack[0] = 0
	if ok {
		stack[0] = i.put(value)
	}
}

func varSet(i *instance, stack []uint64) {
	limit := i.v.limits.Vars
	if limit < 0 {
		panic(abi.Errorf(abi.CodeDenied, "var_set: the manifest's memory.max_var_bytes allows no vars"))
	}
	name := string(i.block("var_set", stack[0]))
	value := i.block("var_set", stack[1])
	if stack[1] == 0 {
		i.varsInUse().remove(name)
	} else {
		if !i.varsInUse().set(name, value, limit) {
			panic(abi.Errorf(abi.CodeKernelMemoryLimit, "var_set: the vars need more than %d bytes; raise memory.max_var_bytes in the manifest", limit))
		}
		i.free(stack[1])
	}
	i.free(stack[0])
}
