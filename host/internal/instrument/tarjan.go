package instrument

// tarjan finds the strongly connected components of a graph of n nodes and yields each after all that can be reached
// from it. It keeps its own stack: call graphs are as deep as their authors like.
func tarjan(n int, succ func(int32) []int32, yield func([]int32)) {
	type frame struct {
		node int32
		next int
	}
	index := make([]int32, n) // order of discovery, from 1
	low := make([]int32, n)
	onStack := make([]bool, n)
	var stack []int32
	var frames []frame
	clock := int32(0)
	push := func(v int32) {
		clock++
		index[v], low[v] = clock, clock
		onStack[v] = true
		stack = append(stack, v)
		frames = append(frames, frame{node: v})
	}
	for root := range int32(n) {
		if index[root] != 0 {
			continue
		}
		push(root)
		for len(frames) > 0 {
			f := &frames[len(frames)-1]
			v := f.node
			if s := succ(v); f.next < len(s) {
				w := s[f.next]
				f.next++
				if index[w] == 0 {
					push(w)
				} else if onStack[w] {
					low[v] = min(low[v], index[w])
				}
				continue
			}
			frames = frames[:len(frames)-1]
			if len(frames) > 0 {
				p := frames[len(frames)-1].node
				low[p] = min(low[p], low[v])
			}
			if low[v] != index[v] {
				continue
			}
			k := len(stack) - 1
			for stack[k] != v {
				k--
			}
			for _, w := range stack[k:] {
				onStack[w] = false
			}
			yield(stack[k:])
			stack = stack[:k]
		}
	}
}
