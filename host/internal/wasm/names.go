package wasm

// FuncName is the name the name section gives a function; Index counts imports first.
type FuncName struct {
	Index uint32
	Name  string
}

// The subsections of the name section that are read here.
const (
	subModule = 0
	subFuncs  = 1
	subDatas  = 9
)

// FuncNames returns the function names of the name section in the order of the binary. A name section that is absent
// or malformed gives none: names are for people, and nothing else may depend on them.
func (m *Module) FuncNames() []FuncName {
	var names []FuncName
	eachSubsection(m.Custom("name"), func(id byte, body []byte) bool {
		if id != subFuncs {
			return true
		}
		r := &reader{b: body, end: len(body)}
		for n := r.count(); n > 0 && r.err == nil; n-- {
			f := FuncName{Index: r.u32()}
			f.Name = r.name()
			if r.err == nil {
				names = append(names, f)
			}
		}
		return false
	})
	return names
}

// Name is the name the module gives itself in its name section, or "".
func (m *Module) Name() string {
	var name string
	eachSubsection(m.Custom("name"), func(id byte, body []byte) bool {
		if id != subModule {
			return true
		}
		r := &reader{b: body, end: len(body)}
		name = r.name()
		return false
	})
	return name
}

// AddFuncNames adds names to the name section. Their indices must ascend and lie above all that are there. A module
// without function names, or with a name section that cannot be read, stays as it is.
func (m *Module) AddFuncNames(add []FuncName) {
	for i := range m.Customs {
		c := &m.Customs[i]
		if c.Name != "name" {
			continue
		}
		out := make([]byte, 0, len(c.Data)+64*len(add))
		found := false
		ok := eachSubsection(c.Data, func(id byte, body []byte) bool {
			if id == subFuncs {
				r := &reader{b: body, end: len(body)}
				n := r.u32()
				b := AppendU32(nil, n+uint32(len(add)))
				b = append(b, body[r.i:]...)
				for _, f := range add {
					b = AppendName(AppendU32(b, f.Index), f.Name)
				}
				body = b
				found = r.err == nil
			}
			out = append(AppendU32(append(out, id), uint32(len(body))), body...)
			return true
		})
		if ok && found {
			c.Data = out
		}
		return
	}
}

// DropDataNames takes the names of data segments out of the name section. One that cannot be read stays as it is.
func (m *Module) DropDataNames() {
	for i := range m.Customs {
		c := &m.Customs[i]
		if c.Name != "name" {
			continue
		}
		out := make([]byte, 0, len(c.Data))
		if eachSubsection(c.Data, func(id byte, body []byte) bool {
			if id != subDatas {
				out = append(AppendU32(append(out, id), uint32(len(body))), body...)
			}
			return true
		}) {
			c.Data = out
		}
		return
	}
}

// eachSubsection calls f for the subsections of a name section until it returns false. It reports whether the section
// was well-formed as far as it was read.
func eachSubsection(b []byte, f func(id byte, body []byte) bool) bool {
	r := &reader{b: b, end: len(b)}
	for r.more() {
		id := r.byte()
		n := r.u32()
		if int64(n) > int64(r.left()) {
			return false
		}
		body := r.bytes(int(n))
		if r.err != nil {
			return false
		}
		if !f(id, body) {
			return true
		}
	}
	return r.err == nil
}

// Producer is one entry of the producers section: which tool, in which version, had which part in making the module.
type Producer struct {
	Field   string // "language", "processed-by" or "sdk"
	Name    string
	Version string
}

// Producers returns the content of the producers section in the order of the binary, or nothing when it is absent or
// malformed. Whoever wrote the module wrote this too: show it, do not rely on it.
func (m *Module) Producers() []Producer {
	b := m.Custom("producers")
	r := &reader{b: b, end: len(b)}
	var out []Producer
	for n := r.count(); n > 0 && r.err == nil; n-- {
		field := r.name()
		for k := r.count(); k > 0 && r.err == nil; k-- {
			p := Producer{Field: field, Name: r.name(), Version: r.name()}
			if r.err == nil {
				out = append(out, p)
			}
		}
	}
	return out
}
