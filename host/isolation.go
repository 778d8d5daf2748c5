package host

import (
	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/taskhost/taskhost/host/internal/linmem"
)

// sandbox is how a version reaches its isolation. This file is the only one that decides it.
type sandbox struct {
	// restore: an instance is put back after each call to how it was after initialisation, also after one that failed.
	restore bool
	// keep: an instance serves one call after another as it is, until one is interrupted or traps.
	keep bool
	// how is a sentence for people.
	how string
}

func sandboxFor(isolation abi.Isolation, form Form, modules []compiled, folders bool) sandbox {
	if form == FormInterpreter {
		return sandbox{how: "scripts have sandboxes of their own"}
	}
	switch isolation {
	case abi.IsolationFresh:
		return sandbox{how: "an instance for each call"}
	case abi.IsolationReuse:
		if form != FormWASI {
			return sandbox{keep: true, how: "instances serve one call after another; state survives"}
		}
	}
	const instead = "an instance for each call, since "
	if folders {
		return sandbox{how: instead + "it has folders, whose open files cannot be put back"}
	}
	for _, m := range modules {
		if !m.pass.Restorable {
			return sandbox{how: instead + moduleWord(m.name) + " " + m.pass.Reasons[0]}
		}
	}
	return sandbox{restore: true, how: "instances are put back after each call"}
}

// snapshot is an instance's state after initialisation. All instances of a version begin with the first one's.
type snapshot struct {
	memories []*linmem.Image
	globals  []*instrument.State // of the modules
	vars     vars
}

// snapshot takes the state of the instance and makes it the one to which the instance is put back.
func (i *instance) snapshot() (*snapshot, error) {
	s := &snapshot{vars: i.vars.share()}
	for _, m := range i.memory.Memories() {
		image, err := m.Image()
		if err != nil {
			s.close()
			return nil, err
		}
		s.memories = append(s.memories, image)
		m.Adopt(image)
	}
	i.watch = i.memory.Watch()
	for _, m := range i.modules {
		s.globals = append(s.globals, m.control.Save(nil))
	}
	return s, nil
}

func (s *snapshot) close() {
	for _, m := range s.memories {
		m.Close()
	}
}

// adopt makes an instance whose modules were just instantiated, and not initialised, equal to the snapshot.
func (i *instance) adopt(s *snapshot) error {
	for k, m := range i.modules {
		if pages := s.globals[k].Pages(); m.control.Pages() < pages {
			if _, ok := m.Memory().Grow(pages - m.control.Pages()); !ok {
				return abi.Errorf(abi.CodeUnavailable, "no memory for an instance of %d pages", pages)
			}
		}
	}
	for k, m := range i.memory.Memories() {
		m.Adopt(s.memories[k])
	}
	i.watch = i.memory.Watch()
	i.restoreSmall(s)
	return nil
}

// restore puts the instance back; same is what its watch said.
func (i *instance) restore(s *snapshot, same bool) {
	for _, m := range i.memory.Memories() {
		m.Restore(same)
	}
	i.restoreSmall(s)
}

// restoreSmall puts back what is not linear memory. The kernel is put back when the next call begins; here it only gives back memory.
func (i *instance) restoreSmall(s *snapshot) {
	for k, m := range i.modules {
		m.control.Restore(s.globals[k])
	}
	i.vars = s.vars
	i.http = httpState{}
	i.stdio.reset()
}
