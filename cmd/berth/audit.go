package main

import (
	"context"
	"log/slog"
	"os/user"

	"berth/auth"
	"berth/registry"
)

// auditLog writes a line of the log, marked audit=true, for each refusal, each change of
// accounts and policies, and each repository that a command makes or deletes. What is
// pushed and deleted over /v2/ stands in the lines of the requests.
type auditLog struct {
	log *slog.Logger
	who string // makes the changes
}

// audit is that of a command that an operator runs.
func (f dataFlags) audit(c console) (auditLog, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.LogLevel)); err != nil {
		return auditLog{}, err
	}
	who := "operator"
	if u, err := user.Current(); err == nil {
		who += " " + u.Username
	}
	return auditLog{log: newLogger(c.err, "auto", level), who: who}, nil
}

// refused is for [auth.Options].Refused.
func (a auditLog) refused(ctx context.Context, e *auth.RefusedError) {
	attrs := []slog.Attr{slog.String("who", e.Principal.String())}
	for _, s := range []slog.Attr{
		slog.String("login", e.Login),
		slog.String("action", string(e.Action)),
		slog.String("repository", string(e.Repo)),
	} {
		if s.Value.String() != "" {
			attrs = append(attrs, s)
		}
	}
	a.write(ctx, "refused", append(attrs, slog.String("reason", e.Error())))
}

// changed is for [auth.Manager].Changed.
func (a auditLog) changed(ctx context.Context, c auth.Change) {
	attrs := []slog.Attr{slog.String("who", a.who), slog.String("action", c.Action)}
	if c.Account != "" {
		attrs = append(attrs, slog.String("account", c.Account))
	}
	if c.Policy != "" {
		attrs = append(attrs, slog.String("policy", c.Policy))
	}
	a.write(ctx, "changed", attrs)
}

// repository tells of a change of a repository as a whole.
func (a auditLog) repository(ctx context.Context, action string, name registry.Name) {
	a.write(ctx, "changed", []slog.Attr{
		slog.String("who", a.who), slog.String("action", action), slog.String("repository", string(name)),
	})
}

func (a auditLog) write(ctx context.Context, what string, attrs []slog.Attr) {
	attrs = append(attrs, slog.Bool("audit", true))
	if o := auth.OriginFrom(ctx); o != (auth.Origin{}) {
		attrs = append(attrs, slog.String("remote", o.Address), slog.String("request_id", o.RequestID))
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, what, attrs...)
}
