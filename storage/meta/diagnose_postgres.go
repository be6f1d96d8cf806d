package meta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"berth/registry"
	"berth/storage/checkup"
)

// postgresExamination is a run of Diagnose on one connection.
type postgresExamination struct {
	config      *pgx.ConnConfig
	connections int
	db          *sql.DB
}

func diagnosePostgres(ctx context.Context, rawURL string, connections int, maxAge time.Duration, checks *checkup.Checks) {
	if connections == 0 {
		connections = defaultPostgresConnections
	}
	// The same as servers ask for, which not everything in between lets through.
	config, err := postgresConfig(rawURL, "berth doctor")
	if err != nil {
		checks.Do(ctx, "database", func(context.Context) checkup.Finding {
			return checkup.Bad("--database is not a connection URL of PostgreSQL", "write it like postgres://user:password@host:5432/berth?sslmode=require; special characters of the password are escaped, a slash as %2F")
		})
		return
	}
	x := &postgresExamination{config: config, connections: connections, db: stdlib.OpenDB(*config)}
	defer x.db.Close()
	x.db.SetMaxOpenConns(1)

	checks.Do(ctx, "database", x.reachable)
	for _, check := range []struct {
		name string
		do   func(context.Context) checkup.Finding
	}{
		{"database version", x.version},
		{"database encryption", x.encryption},
		{"database writable", x.writable},
		{"database encoding", x.encoding},
		{"database durability", x.durability},
		{"database clock", x.clock},
		{"database latency", x.latency},
		{"database connections", x.capacity},
		{"database schema", func(ctx context.Context) checkup.Finding {
			return schema(ctx, x.db, "SELECT count(*) FROM pg_tables WHERE tablename = 'goose_db_version' AND schemaname = ANY (current_schemas(false))")
		}},
	} {
		checks.Do(ctx, check.name, check.do, "database")
	}
	checks.Do(ctx, "database permissions", x.permissions, "database", "database writable")
	checks.Do(ctx, "vulnerability database", func(ctx context.Context) checkup.Finding {
		return vulnerabilityDatabases(ctx, x.db, "SELECT count(*) FROM pg_tables WHERE tablename = 'database_updates' AND schemaname = ANY (current_schemas(false))", maxAge)
	}, "database schema")
}

func (x *postgresExamination) server() string {
	return net.JoinHostPort(x.config.Host, strconv.Itoa(int(x.config.Port)))
}

func (x *postgresExamination) reachable(ctx context.Context) checkup.Finding {
	err := x.db.PingContext(ctx)
	if err == nil {
		return checkup.Fine("%s answers, as user %s in database %s", x.server(), x.config.User, x.config.Database)
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		if strings.Contains(err.Error(), "server refused TLS connection") {
			return checkup.Bad(x.server()+" does not speak TLS", "turn ssl on in postgresql.conf; on a network that you trust, set sslmode=disable in --database")
		}
		seen, advice := checkup.Explain(x.server(), err, "name the file of its authority with sslrootcert=FILE in --database")
		return checkup.Bad(seen, advice)
	}
	said := x.server() + " says: " + refused.Message
	switch refused.Code {
	case "28P01":
		return checkup.Bad(said, "correct user and password in --database (a slash in them is %2F); the environment has PGPASSWORD")
	case "28000":
		return checkup.Bad(said, fmt.Sprintf("add a line for the user %s, the database %s and the address of this machine to pg_hba.conf, and see that the role exists and may log in", x.config.User, x.config.Database))
	case "3D000":
		return checkup.Bad(said, fmt.Sprintf("create it: createdb --encoding=UTF8 --owner=%s %s", x.config.User, x.config.Database))
	case "42501":
		return checkup.Bad(said, fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s", x.config.Database, x.config.User))
	case "53300":
		return checkup.Bad(said, "raise max_connections, or the limit of the role or the database, or lower --database-connections")
	case "57P03":
		return checkup.Bad(said, "wait until the server has started")
	case "08P01":
		if strings.Contains(refused.Message, "startup parameter") {
			return checkup.Bad(said, "this is a pooler such as PgBouncer; have --database name the server itself, as berth has a pool of its own and listens for notifications, which needs sessions")
		}
	}
	return checkup.Bad(said, "see the log of the server")
}

// show reads a setting of the server.
func (x *postgresExamination) show(ctx context.Context, name string) (value string, err error) {
	err = x.db.QueryRowContext(ctx, "SELECT coalesce(current_setting('"+name+"', true), '')").Scan(&value)
	return value, err
}

// failed is a question that the server did not answer.
func failed(err error) checkup.Finding {
	return checkup.Bad(err.Error(), "see the log of the database")
}

func (x *postgresExamination) version(ctx context.Context) checkup.Finding {
	value, err := x.show(ctx, "server_version_num")
	if err != nil {
		return failed(err)
	}
	number, err := strconv.Atoi(value)
	if err != nil {
		return failed(err)
	}
	return postgresVersion(number, time.Now())
}

func (x *postgresExamination) encryption(ctx context.Context) checkup.Finding {
	var encrypted bool
	if err := x.db.QueryRowContext(ctx, "SELECT coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)").Scan(&encrypted); err != nil {
		return failed(err)
	}
	local := strings.HasPrefix(x.config.Host, "/") || checkup.Loopback(x.config.Host)
	return encryption(encrypted, local, x.config.TLSConfig != nil && x.config.TLSConfig.InsecureSkipVerify && x.config.TLSConfig.VerifyPeerCertificate == nil)
}

func encryption(encrypted, local, anybody bool) checkup.Finding {
	switch {
	case local && !encrypted:
		return checkup.Fine("none, and the server is on this machine")
	case !encrypted:
		return checkup.Warn("passwords' hashes and keys travel without TLS", "turn ssl on at the server and set sslmode=verify-full (or at least require) in --database")
	case anybody && !local:
		return checkup.Warn("TLS, but the certificate of the server is not looked at", "set sslmode=verify-full, with sslrootcert=FILE if its authority is your own")
	}
	return checkup.Fine("TLS")
}

func (x *postgresExamination) writable(ctx context.Context) checkup.Finding {
	var standby bool
	if err := x.db.QueryRowContext(ctx, "SELECT pg_is_in_recovery()").Scan(&standby); err != nil {
		return failed(err)
	}
	if standby {
		return checkup.Bad("the server is a standby, which cannot be written to", "name the primary in --database, or all servers with target_session_attrs=read-write")
	}
	readOnly, err := x.show(ctx, "transaction_read_only")
	if err != nil {
		return failed(err)
	}
	if readOnly == "on" {
		return checkup.Bad("transactions are read-only", fmt.Sprintf("ALTER ROLE %s RESET default_transaction_read_only, also for the DATABASE %s; a full disk may be why it was set", x.config.User, x.config.Database))
	}
	return checkup.Fine("the server is a primary")
}

func (x *postgresExamination) encoding(ctx context.Context) checkup.Finding {
	value, err := x.show(ctx, "server_encoding")
	if err != nil {
		return failed(err)
	}
	if value != "UTF8" {
		return checkup.Bad("the encoding of the database is "+value, fmt.Sprintf("make another: createdb --template=template0 --encoding=UTF8 --owner=%s NAME", x.config.User))
	}
	return checkup.Fine("%s", value)
}

// durability is what a 201 relies on.
func (x *postgresExamination) durability(ctx context.Context) checkup.Finding {
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		value, err := x.show(ctx, name)
		if err != nil {
			return failed(err)
		}
		if value == "off" {
			return checkup.Warn(name+" is off: a power cut loses pushes that were answered 201", "turn it on in postgresql.conf")
		}
	}
	return checkup.Fine("commits are on the disk when they are answered")
}

func (x *postgresExamination) clock(ctx context.Context) checkup.Finding {
	var theirs time.Time
	asked := time.Now()
	if err := x.db.QueryRowContext(ctx, "SELECT clock_timestamp()").Scan(&theirs); err != nil {
		return failed(err)
	}
	return checkup.Clock("the server's clock", theirs.Sub(asked.Add(time.Since(asked)/2)))
}

// slowQuery is how long a question about nothing may take.
const slowQuery = 5 * time.Millisecond

func (x *postgresExamination) latency(ctx context.Context) checkup.Finding {
	took, err := checkup.Median(21, func() error {
		var one int
		return x.db.QueryRowContext(ctx, "SELECT 1").Scan(&one)
	})
	if err != nil {
		return failed(err)
	}
	seen := fmt.Sprintf("SELECT 1 takes %s (the median of 21)", took.Round(10*time.Microsecond))
	if took > slowQuery {
		return checkup.Warn(seen, "every request waits for several such questions: run berth near the database")
	}
	return checkup.Fine("%s", seen)
}

// capacity compares the connections that one server makes with those it may have.
func (x *postgresExamination) capacity(ctx context.Context) checkup.Finding {
	var most, reserved, role, database int
	err := x.db.QueryRowContext(ctx, `SELECT current_setting('max_connections')::int,
		current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true), '0')::int,
		(SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user),
		(SELECT datconnlimit FROM pg_database WHERE datname = current_database())`).Scan(&most, &reserved, &role, &database)
	if err != nil {
		return failed(err)
	}
	return capacity(x.connections, most-reserved, role, database)
}

// capacity says how many servers there is room for. Limits below zero are none.
func capacity(connections, room, role, database int) checkup.Finding {
	for _, limit := range []int{role, database} {
		if limit >= 0 {
			room = min(room, limit)
		}
	}
	// A pool, one for what need not be durable, and the one that listens.
	each := connections + max(connections/4, 2) + 1
	const advice = "raise max_connections (and a limit of the role or the database), or lower --database-connections"
	seen := fmt.Sprintf("a server uses up to %d, and there may be %d: room for %d servers; how many you run is not known here", each, room, room/each)
	switch room / each {
	case 0:
		return checkup.Bad(fmt.Sprintf("a server uses up to %d, and there may only be %d", each, room), advice)
	case 1:
		return checkup.Warn(seen, "if you run several servers, "+advice)
	}
	return checkup.Fine("%s", seen)
}

// permissions makes a table and takes it back, and looks whose the others are.
func (x *postgresExamination) permissions(ctx context.Context) checkup.Finding {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return failed(err)
	}
	defer tx.Rollback()
	var in sql.NullString
	if err := tx.QueryRowContext(ctx, "SELECT current_schema()").Scan(&in); err != nil {
		return failed(err)
	}
	if !in.Valid {
		return checkup.Bad("the search_path names no schema that is there", fmt.Sprintf("CREATE SCHEMA berth AUTHORIZATION %s, and ALTER ROLE %[1]s SET search_path = berth", x.config.User))
	}
	var foreign int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()
		AND tablename IN ('goose_db_version', 'repositories', 'blobs', 'manifests', 'tags', 'jobs') AND NOT pg_has_role(tableowner, 'USAGE')`).Scan(&foreign); err != nil {
		return failed(err)
	}
	if foreign > 0 {
		return checkup.Bad(fmt.Sprintf("%d tables of berth belong to another user than %s", foreign, x.config.User), "REASSIGN OWNED BY that user, or log in as him in --database")
	}
	if _, err := tx.ExecContext(ctx, "CREATE TABLE berth_doctor (id BIGINT PRIMARY KEY)"); err != nil {
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == "42501" {
			return checkup.Bad(fmt.Sprintf("%s may not make tables in the schema %s", x.config.User, in.String), fmt.Sprintf("GRANT CREATE, USAGE ON SCHEMA %s TO %s", in.String, x.config.User))
		}
		if errors.Is((&postgresDialect{}).translate(err), registry.ErrStorageFull) {
			return checkup.Bad("the disk of the server is full", "free space there")
		}
		return failed(err)
	}
	return checkup.Fine("tables can be made in the schema %s", in.String)
}
