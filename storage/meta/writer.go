package meta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// maxShared bounds the transactions of one commit, so that the first of them does
// not wait for too many others.
const maxShared = 64

var errClosed = errors.New("the database is closed")

// writer is the one that writes to SQLite. Transactions that arrive while it is busy
// are run one after the other, each in a savepoint, and committed together. A commit
// is then in the file, and a [syncer] sees that it is on the disk: meanwhile the
// writer goes on with the next.
type writer struct {
	dialect dialect
	conn    *sql.Conn
	run     *statements
	syncer  *syncer
	observe func(time.Duration, int)
	now     func() time.Time

	mu     sync.RWMutex // held for reading while sending on queue
	closed bool
	queue  chan *write
	done   chan struct{}
}

// write is a transaction that waits for its commit.
type write struct {
	fn      func(*Tx) error
	relaxed bool // need not survive the machine
	asked   time.Time
	err     error
	done    chan struct{}
}

// startWriter writes to db. sync makes durable what has been committed so far.
func startWriter(ctx context.Context, d dialect, db *sql.DB, sync func() error, opts Options) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		dialect: d,
		conn:    conn,
		run:     newStatements(d, conn),
		observe: opts.Observe,
		now:     opts.Now,
		queue:   make(chan *write, maxShared),
		done:    make(chan struct{}),
	}
	w.syncer = startSyncer(sync, w.end)
	go w.loop()
	return w, nil
}

// failed is the error after which nothing can be made durable any more.
func (w *writer) failed() error {
	if err := w.syncer.failed.Load(); err != nil {
		return *err
	}
	return nil
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

func (w *writer) do(ctx context.Context, relaxed bool, fn func(*Tx) error) error {
	this := &write{fn: fn, relaxed: relaxed, asked: time.Now(), done: make(chan struct{})}
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
	defer w.syncer.close() // which waits for the last to be on the disk
	defer w.conn.Close()
	defer w.run.close()
	for first := range w.queue {
		group := w.gather(first)
		if err := w.commit(group); err != nil {
			w.rollback(group, err)
		}
		if slices.ContainsFunc(group, (*write).durable) {
			w.syncer.wait(group)
		} else {
			w.end(group)
		}
	}
}

// durable reports whether the transaction has to be on the disk before it ends.
func (t *write) durable() bool { return t.err == nil && !t.relaxed }

// end lets the callers of a group go on.
func (w *writer) end(group []*write) {
	for _, this := range group {
		close(this.done)
		w.observe(time.Since(this.asked), len(group))
	}
}

// gather takes what has queued up behind first.
func (w *writer) gather(first *write) []*write {
	group := []*write{first}
	for len(group) < maxShared {
		select {
		case next, ok := <-w.queue:
			if !ok {
				return group
			}
			group = append(group, next)
		default:
			return group
		}
	}
	return group
}

// commit runs a group in one transaction. An error is one of all of them.
func (w *writer) commit(group []*write) error {
	if err := w.command("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if len(group) == 1 {
		if err := call(group[0], w.tx()); err != nil {
			return err
		}
		return w.command("COMMIT")
	}
	for _, this := range group {
		var broken bool
		if this.err, broken = w.savepoint(this); broken {
			return this.err
		}
	}
	return w.command("COMMIT")
}

// savepoint runs one transaction of the group so that it can fail alone. broken
// says that the whole transaction is lost, as after an I/O error.
func (w *writer) savepoint(this *write) (err error, broken bool) {
	if err := w.command("SAVEPOINT one"); err != nil {
		return err, true
	}
	failed := call(this, w.tx())
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

func (w *writer) tx() *Tx {
	return &Tx{queries: queries{run: w.run, dialect: w.dialect}, now: w.now()}
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
