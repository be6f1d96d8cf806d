package main

import "fmt"

// settle decides what became of the operations that a kill cut off, after everything they touch has been looked at.
// asOf is a moment after their end and before anyone looked.
//
// An operation takes effect as a whole or not at all. So both are tried on everything it touches: if only the one
// explains what was seen, that is what happened; if neither does, the registry has done something by halves.
func (m *model) settle(asOf moment) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for changed := true; changed; {
		changed = false
		for op := range m.open {
			if op.outcome != doubtful {
				continue
			}
			happened, not := m.explains(op, acknowledged, asOf), m.explains(op, refused, asOf)
			switch {
			case !happened && !not:
				return m.violation(op, "it was cut off, and what is there now looks neither as if it had been done nor as if it had not",
					cellsOf(op))
			case happened && !not:
				op.outcome = acknowledged
			case !happened:
				op.outcome = refused
			}
			if op.outcome != doubtful {
				m.closeOpen(op)
				changed = true // which may tell something about the others
			}
		}
	}
	for op := range m.open {
		if op.outcome == doubtful {
			m.closeOpen(op) // both are possible: others have written over it, or it changed nothing
		}
	}
	return nil
}

// explains reports whether all that was seen since asOf can be if op had the outcome.
func (m *model) explains(op *operation, o outcome, asOf moment) bool {
	before := op.outcome
	op.outcome = o
	defer func() { op.outcome = before }()
	for _, e := range op.effects {
		if e.cell.at > asOf && !e.cell.could(e.cell.seen, asOf, asOf) {
			return false
		}
	}
	return true
}

// happened settles by other evidence that an operation took effect. The next look at what it touches has to agree.
func (m *model) happened(op *operation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, open := m.open[op]; open {
		op.outcome = acknowledged
		m.closeOpen(op)
	}
}

func (m *model) closeOpen(op *operation) {
	delete(m.open, op)
	if m.settled[op.kind] == nil {
		m.settled[op.kind] = map[string]int{}
	}
	m.settled[op.kind][[...]string{acknowledged: "took effect", refused: "did not", doubtful: "either"}[op.outcome]]++
}

// parked is the moment to settle as of: it ticks when no operation is under way, and nothing can come of those that were
// abandoned any more.
func (m *model) parked() (moment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for op := range m.open {
		if op.outcome == underway {
			return 0, fmt.Errorf("a bug in this program: %s although all clients rest", op)
		}
	}
	m.now++
	for op := range m.open {
		op.end = min(op.end, m.now)
	}
	m.now++
	return m.now, nil
}

// takeTouched returns the cells that changed since it was last called.
func (m *model) takeTouched() []*cell {
	m.mu.Lock()
	defer m.mu.Unlock()
	cells := make([]*cell, 0, len(m.touched))
	for c := range m.touched {
		cells = append(cells, c)
	}
	clear(m.touched)
	return cells
}

func cellsOf(op *operation) []*cell {
	cells := make([]*cell, len(op.effects))
	for i, e := range op.effects {
		cells[i] = e.cell
	}
	return cells
}
