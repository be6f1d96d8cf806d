package worker

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// tail passes on the lines that an engine prints to the log, and remembers the one that
// says why it died.
type tail struct {
	log *slog.Logger

	mu    sync.Mutex
	part  []byte // of a line
	line  string // the last one
	fatal string // the first one of the Go runtime's last words
}

// maxLine is how much of a line is kept, in bytes.
const maxLine = 1 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for rest := b; len(rest) > 0; {
		end := slices.Index(rest, '\n')
		piece := rest
		if end >= 0 {
			piece, rest = rest[:end], rest[end+1:]
		} else {
			rest = nil
		}
		t.part = append(t.part, piece[:min(len(piece), maxLine-len(t.part))]...)
		if end >= 0 {
			t.full()
		}
	}
	return len(b), nil
}

// full takes a line that is at its end.
func (t *tail) full() {
	line := strings.TrimSpace(strings.ToValidUTF8(string(t.part), "?"))
	t.part = t.part[:0]
	if line == "" {
		return
	}
	t.line = line
	for _, prefix := range []string{"panic: ", "fatal error: ", "runtime: out of memory", "SIG"} {
		if t.fatal == "" && strings.HasPrefix(line, prefix) {
			t.fatal = line
		}
	}
	t.log.Debug("the engine says", "line", line)
}

// last is the line that says most about the death of the engine.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.part) > 0 {
		t.full()
	}
	if t.fatal != "" {
		return t.fatal
	}
	return t.line
}
