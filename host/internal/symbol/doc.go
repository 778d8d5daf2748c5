// Package symbol tells for a place in a module's code which function of the source it is, in which file and line: from DWARF, the debug
// information that compilers put into custom sections, with the functions that were inlined there. Names are those of the source
// language again ([Demangle]).
//
// Whoever wrote the module wrote its debug information. So nothing here panics, loops without a bound, or trusts a length, and texts come
// back short and without control characters. What is damaged or missing gives no answer instead of an error: it is for people to read.
package symbol

// Frame is a function at a place in its source.
type Frame struct {
	Func string // as the source has it; empty: unknown
	File string // empty: unknown
	Line int    // 0: unknown
}
