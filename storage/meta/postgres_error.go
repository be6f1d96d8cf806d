package meta

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"berth/registry"
)

// errorKind is what an error of PostgreSQL means for trying again.
type errorKind int

const (
	final          errorKind = iota // nothing is gained by another try, or nothing is wrong
	conflict                        // another transaction was in the way
	lostConnection                  // the server is gone, or going
	readOnly                        // the server is no longer the one to write to
)

// finalError is the loss of a connection after which trying again would do harm.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }

// classify goes by the codes of the server.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func classify(err error) errorKind {
	var unknown *finalError
	if err == nil || errors.As(err, &unknown) {
		return final
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		switch server.Code {
		case "40001", "40P01", "55P03": // serialization failure, deadlock, lock not available
			return conflict
		case "23503", "23505": // what a statement of ours relied on has gone, or has come, since it looked
			return conflict
		case "25006": // read-only transaction
			return readOnly
		case "57P01", "57P02", "57P03", "57P05", "53300": // shut down, crashed, starting, idle, too many connections
			return lostConnection
		case "25P03": // idle in transaction for too long
			return lostConnection
		}
		if strings.HasPrefix(server.Code, "08") {
			return lostConnection
		}
		return final
	}
	if isConnection(err) {
		return lostConnection
	}
	return final
}

// isConnection reports whether an error is one of the way to the server.
func isConnection(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) ||
		strings.Contains(err.Error(), "conn closed") // pgconn has no value for it
}

// outcomeUnknown reports whether a statement that failed so may have been carried out.
func outcomeUnknown(err error) bool {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		// The server says so while it goes down, of a commit that may be in its log.
		return server.Code == "57P01" || server.Code == "57P02" || strings.HasPrefix(server.Code, "08")
	}
	// The driver has but one word for a connection that was closed before a statement and
	// for one that broke while its answer was waited for, and calls that safe.
	if errors.Is(err, pgconn.ErrConnClosed) {
		return true
	}
	return !pgconn.SafeToRetry(err) && !errors.Is(err, sql.ErrTxDone)
}

func (*postgresDialect) translate(err error) error {
	if err == nil || errors.Is(err, registry.ErrUnavailable) {
		return err
	}
	var server *pgconn.PgError
	if errors.As(err, &server) && strings.HasPrefix(server.Code, "53") && server.Code != "53300" {
		return errors.Join(registry.ErrStorageFull, err) // of disk, memory or settings
	}
	var broken *finalError
	canceled := server != nil && server.Code == "57014" // statement_timeout
	if classify(err) != final || errors.As(err, &broken) || canceled || isConnection(err) || errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(registry.ErrUnavailable.With("the registry's database does not answer; try again shortly"), err)
	}
	return err
}
