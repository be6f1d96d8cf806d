package meta

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// channel is that of NOTIFY.
const channel = "berth"

// listen calls heard with what other processes say they have changed, and with
// nothing after each time that words may have been missed. It ends when ctx does.
// https://www.postgresql.org/docs/current/sql-notify.html
func listen(ctx context.Context, config *pgx.ConnConfig, log *slog.Logger, heard func(string)) {
	const most = 5 * time.Second
	for pause := 100 * time.Millisecond; ctx.Err() == nil; pause = min(pause*2, most) {
		began := time.Now()
		err := listenOnce(ctx, config, heard)
		if ctx.Err() != nil {
			return
		}
		log.Warn("not listening to the database; changes of other replicas are seen later", "error", err)
		if time.Since(began) > most {
			pause = 100 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func listenOnce(ctx context.Context, config *pgx.ConnConfig, heard func(string)) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	heard("")
	for {
		n, err := waitForWord(ctx, conn)
		if err != nil {
			return err
		}
		heard(n)
	}
}

// waitForWord waits for a notification. A connection whose other end has gone without
// a word is found out by asking it something every now and then.
func waitForWord(ctx context.Context, conn *pgx.Conn) (string, error) {
	const quiet = 30 * time.Second
	for {
		limited, cancel := context.WithTimeout(ctx, quiet)
		n, err := conn.WaitForNotification(limited)
		cancel()
		if err == nil {
			return n.Payload, nil
		}
		if ctx.Err() != nil || limited.Err() == nil || conn.IsClosed() {
			return "", err
		}
		limited, cancel = context.WithTimeout(ctx, quiet)
		err = conn.Ping(limited)
		cancel()
		if err != nil {
			return "", err
		}
	}
}
