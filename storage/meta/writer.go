package meta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// maxShared bounds the transactions of one commit, so that the first of them does
// not wait for too many others.
const maxShared = 64

var errClosed = errors.New("the database is closed")

// writer is the one that writes to SQLite. A commit costs an fsync, some hundred
// microseconds in which more transactions arrive; those are then run one after the
// other, each in a savepoint, and committed together.
type writer struct {
	dialect dialect
	conn    *sql.Conn
	run     *statements
	observe func(time.Duration, int)

	mu     sync.RWMutex // held for reading while sending on queue
	closed bool
	queue  chan *write
	done   chan struct{}
}

// write is a transaction that waits for its commit.
type write struct {
	ctx   context.Context
	fn    func(*Tx) error
	asked time.Time
	err   error
	done  chan struct{}
}

func startWriter(ctx context.Context, d dialect, db *sql.DB, observe func(time.Duration, int)) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		dialect: d,
		conn:    conn,
		run:     newStatements(d, conn),
		observe: observe,
		queue:   make(chan *write, maxShared),
		done:    make(chan struct{}),
	}
	go w.loop()
	return w, nil
}

func (w *writer) close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.done
}

func (w *writer) do(ctx context.Context, fn func(*Tx) error) error {
	this := &write{ctx: ctx, fn: fn, asked: time.Now(), done: make(chan struct{})}
	if err := w.send(ctx, this); err != nil {
		return err
	}
	<-this.done // soon, whatever becomes of ctx, and only then is it known
	return this.err
}

func (w *writer) send(ctx context.Context, this *write) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return errClosed
	}
	select {
	case w.queue <- this:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) loop() {
	defer close(w.done)
	defer w.conn.Close()
	for first := range w.queue {
		group := w.commit(first)
		for _, this := range group {
			close(this.done)
			if w.observe != nil {
				w.observe(time.Since(this.asked), len(group))
			}
		}
	}
}

// commit runs first, and whatever has queued up behind it, in one transaction.
func (w *writer) commit(first *write) []*write {
	group := []*write{first}
	if err := w.command(w.dialect.begin()); err != nil {
		first.err = err
		return group
	}
	for next := first; ; {
		var broken bool
		if next.err, broken = w.savepoint(next); broken {
			w.rollback(group, next.err)
			return group
		}
		if len(group) == maxShared {
			break
		}
		var ok bool
		select {
		case next, ok = <-w.queue:
		default:
		}
		if !ok {
			break
		}
		group = append(group, next)
	}
	if err := w.command("COMMIT"); err != nil {
		w.rollback(group, err)
	}
	return group
}

// savepoint runs one transaction of the group so that it can fail alone. broken
// says that the whole transaction is lost, as after an I/O error.
func (w *writer) savepoint(this *write) (err error, broken bool) {
	if err := w.command("SAVEPOINT one"); err != nil {
		return err, true
	}
	tx := &Tx{queries: queries{run: w.run}, now: time.Now()}
	failed := call(this, tx)
	if failed != nil {
		if err := w.command("ROLLBACK TO one"); err != nil {
			return failed, true
		}
	}
	if err := w.command("RELEASE one"); err != nil {
		return errors.Join(failed, err), true
	}
	return failed, false
}

// call keeps the writer alive if fn panics: others wait for it too.
func call(this *write, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v\n%s", p, debug.Stack())
		}
	}()
	return this.fn(tx)
}

// rollback ends a transaction that cannot be committed and fails those of its group
// that believed to have succeeded.
func (w *writer) rollback(group []*write, err error) {
	w.command("ROLLBACK") // SQLite may have done so by itself
	for _, this := range group {
		if this.err == nil {
			this.err = err
		}
	}
}

func (w *writer) command(query string) error {
	_, err := w.run.exec(context.Background(), query)
	return err
}
