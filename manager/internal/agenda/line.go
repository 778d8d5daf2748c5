package agenda

// line is the line of one agent: one task is active, from when it is due until it is final, the others wait in the order of their
// submission.
type line[P any] struct {
	agent   string
	tasks   int // that are not final
	active  *Entry[P]
	waiting heap[P]
}

// line finds or makes an agent's line.
func (a *Agenda[P]) line(agent string) *line[P] {
	l := a.lines[agent]
	if l == nil {
		l = &line[P]{agent: agent}
		l.waiting.state = lined
		a.lines[agent] = l
	}
	return l
}

// enter makes an entry the active one, or puts it into the line; it reports whether it is active.
func (l *line[P]) enter(e *Entry[P]) bool {
	if l.active == nil {
		l.active = e
	}
	if l.active == e {
		return true
	}
	l.waiting.push(int64(e.Seq), e)
	return false
}

// leaveLine takes a final entry out of its line; the next one goes on.
func (a *Agenda[P]) leaveLine(e *Entry[P], l *line[P]) {
	if l.tasks--; l.tasks == 0 {
		delete(a.lines, l.agent)
		return
	}
	if l.active != e {
		l.waiting.drop(inState[P])
		return
	}
	l.active = nil
	if l.waiting.first(inState[P]) != nil {
		a.makeReady(l.waiting.pop().e)
	}
}
