package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"berth/auth"
	"berth/registry"
	"berth/storage/meta"
)

// policySimulate asks what a server would decide.
type policySimulate struct {
	dataFlags  `embed:""`
	placeFlags `embed:""`
	outputFlag `embed:""`

	Principal string            `required:"" placeholder:"NAME|ARN" help:"Who asks: the name of a user, robot or role, its ARN, or anonymous."`
	Action    string            `required:"" placeholder:"ACTION" help:"What for, such as ecr:PutImage."`
	Resource  string            `default:"*" placeholder:"REPOSITORY|ARN" help:"Where: a repository, by name or ARN; * for what concerns the registry itself."`
	SourceIP  string            `name:"source-ip" placeholder:"ADDRESS" help:"Where the request comes from."`
	Time      time.Time         `placeholder:"TIME" help:"When, such as 2026-01-02T15:04:05Z; by default now."`
	Insecure  bool              `help:"The request does not come over TLS."`
	Tag       map[string]string `placeholder:"KEY=VALUE" help:"Tag that the request attaches."`
}

type simulated struct {
	Decision  string `json:"decision"` // as AWS's simulator has it
	Kind      string `json:"policyType,omitempty"`
	Policy    string `json:"policy,omitempty"`
	Statement string `json:"statement,omitempty"`
}

func (cmd policySimulate) Run(ctx context.Context, c console) error {
	r, err := cmd.request()
	if err != nil {
		return err
	}
	return cmd.withManager(ctx, c, func(_ *auth.Manager, db *meta.DB) error {
		if err := named(ctx, db, &r.Principal); err != nil {
			return err
		}
		access, err := auth.NewAccess(db, auth.Options{Location: cmd.location()})
		if err != nil {
			return err
		}
		d, err := access.Explain(ctx, r)
		if err != nil {
			return err
		}
		s := simulated{"implicitDeny", string(d.Kind), d.Policy, d.Statement}
		switch {
		case d.Allowed:
			s.Decision = "allowed"
		case d.Explicit:
			s.Decision = "explicitDeny"
		default:
			s = simulated{Decision: "implicitDeny"}
		}
		return cmd.print(c, s, []string{"DECISION", "BY", "POLICY", "STATEMENT"}, [][]string{{s.Decision, s.Kind, s.Policy, s.Statement}})
	})
}

// request is what the flags describe, its principal by name only.
func (cmd policySimulate) request() (r auth.Request, err error) {
	if err := cmd.check(); err != nil {
		return r, err
	}
	r = auth.Request{Action: auth.Action(cmd.Action), Context: auth.Context{
		Secure: !cmd.Insecure, Time: time.Now(), Parameters: auth.Parameters{Tags: cmd.Tag},
	}}
	if i := slices.IndexFunc(auth.Actions(), func(a auth.Action) bool { return strings.EqualFold(string(a), cmd.Action) }); i >= 0 {
		r.Action = auth.Actions()[i]
	} else {
		return r, fmt.Errorf("--action %q is none; it should be ecr: and an operation of ECR, such as ecr:PutImage", cmd.Action)
	}
	if !cmd.Time.IsZero() {
		r.Context.Time = cmd.Time
	}
	if cmd.SourceIP != "" {
		if r.Context.SourceIP, err = netip.ParseAddr(cmd.SourceIP); err != nil {
			return r, fmt.Errorf("--source-ip: %w", err)
		}
	}
	if cmd.Resource != "*" {
		name := strings.TrimPrefix(cmd.Resource, cmd.location().ARN(""))
		if r.Repo, err = registry.ParseName(name); err != nil {
			return r, fmt.Errorf("--resource: %w", err)
		}
	}
	r.Principal = principalOf(cmd.Principal)
	return r, nil
}

// principalOf reads a name or an ARN; of a session, the name that follows that of the role.
func principalOf(s string) auth.Principal {
	if s == string(auth.Anonymous) {
		return auth.Nobody
	}
	if !strings.HasPrefix(s, "arn:") {
		return auth.Principal{Name: s}
	}
	path := s[strings.LastIndex(s, ":")+1:]
	kind, name, _ := strings.Cut(path, "/")
	name, session, _ := strings.Cut(name, "/")
	if kind != "assumed-role" {
		session = ""
	}
	return auth.Principal{Name: name, Session: session}
}

// named completes a principal with what its account says.
func named(ctx context.Context, db *meta.DB, p *auth.Principal) error {
	if p.IsAnonymous() {
		return nil
	}
	a, err := db.Account(ctx, p.Name)
	if errors.Is(err, auth.ErrAccountUnknown) {
		return fmt.Errorf("--principal %s: %w", p.Name, err)
	}
	p.Kind = a.Kind
	return err
}
