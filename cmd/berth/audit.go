package main

import (
	"cmp"
	"context"
	"log/slog"
	"os/user"
	"strings"

	"berth/auth"
	"berth/auth/accesskey"
	"berth/auth/sts"
	"berth/registry"
	"berth/registry/ecr"
	"berth/registry/engine"
	"berth/scan"
)

// auditLog writes a line of the log, marked audit=true, for each refusal and warning, of gates too, each change of
// accounts and policies, each session that is given out, each change that a command makes to repositories, images, quotas and
// what clusters run, and each change through the API of ECR. What is pushed and deleted over /v2/ stands in the lines of the requests.
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

// audited calls do with the registry, and tells of the change that it makes to what.
func (f dataFlags) audited(ctx context.Context, c console, action string, what slog.Attr, do func(*engine.Engine) error) error {
	audit, err := f.audit(c)
	if err != nil {
		return err
	}
	return f.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		err := do(e)
		if err == nil {
			audit.write(ctx, "changed", []slog.Attr{slog.String("who", audit.who), slog.String("action", action), what})
		}
		return err
	})
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

// gated is for [scan.Gated].
func (a auditLog) gated(ctx context.Context, v scan.Verdict) {
	what := "refused"
	if !v.Blocked() {
		what = "warned"
	}
	a.write(ctx, what, []slog.Attr{
		slog.String("who", auth.PrincipalFrom(ctx).String()),
		slog.String("action", string(auth.BatchGetImage)),
		slog.String("repository", string(v.Repository)),
		slog.String("digest", string(v.Digest)),
		slog.String("gate", v.Gate.Repository),
		slog.String("reason", v.Summary()),
	})
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

// keyChanged is for [accesskey.Manager].Changed.
func (a auditLog) keyChanged(ctx context.Context, c accesskey.Change) {
	a.write(ctx, "changed", []slog.Attr{
		slog.String("who", a.who), slog.String("action", c.Action), slog.String("account", c.Account), slog.String("key", c.Key),
	})
}

// repository tells of a change of a repository as a whole.
func (a auditLog) repository(ctx context.Context, action string, name registry.Name) {
	a.write(ctx, "changed", []slog.Attr{
		slog.String("who", a.who), slog.String("action", action), slog.String("repository", string(name)),
	})
}

// image tells of images that a command has changed.
func (a auditLog) image(ctx context.Context, action string, name registry.Name, images []registry.ImageID) {
	a.write(ctx, "changed", []slog.Attr{
		slog.String("who", a.who), slog.String("action", action), slog.String("repository", string(name)), imagesAttr(images),
	})
}

// images is for [ecr.Options].Changed.
func (a auditLog) images(ctx context.Context, c ecr.Change) {
	attrs := []slog.Attr{slog.String("who", c.Who.String()), slog.String("action", string(c.Action)), slog.String("repository", string(c.Repository))}
	if len(c.Images) > 0 {
		attrs = append(attrs, imagesAttr(c.Images))
	}
	if c.Err != nil {
		attrs = append(attrs, slog.String("error", c.Err.Error()))
	}
	a.write(ctx, "changed", attrs)
}

func imagesAttr(images []registry.ImageID) slog.Attr {
	var list []string
	for _, id := range images {
		list = append(list, strings.Trim(string(id.Tag)+"@"+string(id.Digest), "@"))
	}
	return slog.Any("images", list)
}

// session is for [sts.Options].Audit.
func (a auditLog) session(ctx context.Context, e sts.Event) {
	attrs := []slog.Attr{slog.String("who", cmp.Or(e.Who, auth.Nobody.String())), slog.String("action", e.Action)}
	for _, s := range []slog.Attr{
		slog.String("issuer", e.Issuer),
		slog.String("role", e.Role),
		slog.String("session", e.Session),
		slog.String("key", e.Key),
	} {
		if s.Value.String() != "" {
			attrs = append(attrs, s)
		}
	}
	if e.Err != nil {
		a.write(ctx, "refused", append(attrs, slog.String("reason", e.Err.Error())))
		return
	}
	if !e.Expires.IsZero() {
		attrs = append(attrs, slog.Time("expires", e.Expires))
	}
	a.write(ctx, "session given out", attrs)
}

func (a auditLog) write(ctx context.Context, what string, attrs []slog.Attr) {
	attrs = append(attrs, slog.Bool("audit", true))
	if o := auth.OriginFrom(ctx); o != (auth.Origin{}) {
		attrs = append(attrs, slog.String("remote", o.Address), slog.String("request_id", o.RequestID))
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, what, attrs...)
}
