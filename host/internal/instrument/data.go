package instrument

import (
	"cmp"
	"slices"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// maxGap is the longest run of zeros between two data segments that are made one.
const maxGap = 256

// placed is a data segment and the bytes of the memory that it fills.
type placed struct {
	*wasm.Data
	from, to uint64
}

// joinDatas makes one of data segments that lie close to each other. Go's linker cuts its data at every few zeros, into tens of thousands
// of segments, and the engine decodes, checks and copies each of them and keeps a slice of each in every instance: without
// this, most of the memory that an instance of a Go plugin takes. A module that refers to its segments by their numbers stays as it is, and so
// does one whose segments overlap: there, a later one writes over those before it.
func (w *rewriter) joinDatas() {
	m := w.out
	if _, imported, ok := m.Memory(); !ok || imported || w.state.usesDatas {
		return
	}
	datas := make([]placed, len(m.Datas))
	for i := range m.Datas {
		at, ok := m.Datas[i].At()
		if !ok {
			return
		}
		datas[i] = placed{&m.Datas[i], uint64(at), uint64(at) + uint64(len(m.Datas[i].Init))}
	}
	slices.SortStableFunc(datas, func(a, b placed) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(datas); i++ {
		if datas[i].from < datas[i-1].to {
			return
		}
	}
	if n := len(datas); n == 0 || datas[n-1].to > uint64(m.Memories[0].Min)<<16 {
		return // the engine will refuse it
	}
	var joined []wasm.Data
	for i, d := range datas {
		if i > 0 && d.from <= datas[i-1].to+maxGap {
			into := &joined[len(joined)-1]
			into.Init = append(append(into.Init, make([]byte, d.from-datas[i-1].to)...), d.Init...)
			continue
		}
		joined = append(joined, wasm.Data{Flags: d.Flags, Offset: d.Offset, Init: append([]byte(nil), d.Init...)})
	}
	if len(joined) == len(m.Datas) {
		return
	}
	m.Datas = joined
	if m.DataCount != nil {
		n := uint32(len(joined))
		m.DataCount = &n
	}
	m.DropDataNames()
}
