package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"berth/auth"
	"berth/storage/meta"
)

// roleCommand administers what CI jobs take on.
type roleCommand struct {
	Create  roleCreate    `cmd:"" help:"Add a role."`
	List    roleList      `cmd:"" help:"List roles."`
	Show    roleShow      `cmd:"" help:"Print the JSON that says who may take on a role."`
	Trust   roleTrust     `cmd:"" help:"Say anew who may take on a role. Sessions that there are go on."`
	Attach  policyAttach  `cmd:"" help:"Give a role what a policy says."`
	Detach  policyDetach  `cmd:"" help:"Take a policy from a role."`
	Enable  accountEnable `cmd:"" help:"Let a disabled role be taken on again."`
	Disable accountStop   `cmd:"" help:"Keep a role from being taken on, and end its sessions, without removing it."`
	Delete  accountRemove `cmd:"" aliases:"remove" help:"Delete a role, and end its sessions."`
}

// trustFlags say who may take on a role.
type trustFlags struct {
	Trust    string   `placeholder:"FILE" help:"Trust policy in IAM's JSON; - reads standard input."`
	Issuer   string   `placeholder:"URL" help:"Instead of a file: the identity provider whose tokens are good, such as https://gitlab.com."`
	Audience []string `sep:"none" placeholder:"AUD" help:"With --issuer: for whom its tokens have to be."`
	Subject  []string `sep:"none" placeholder:"PATTERN" help:"With --issuer: whose they have to be, such as repo:acme/*:ref:refs/heads/main."`
}

func (f trustFlags) document(c console) (string, error) {
	switch {
	case (f.Trust == "") == (f.Issuer == ""):
		return "", fmt.Errorf("who may take on the role comes from --trust or is made with --issuer: give one of them")
	case f.Trust != "" && len(f.Audience)+len(f.Subject) > 0:
		return "", fmt.Errorf("--audience and --subject go with --issuer; --trust has them in its conditions")
	case f.Trust == "-":
		b, err := io.ReadAll(c.in)
		return string(b), err
	case f.Trust != "":
		b, err := os.ReadFile(f.Trust)
		return string(b), err
	}
	return auth.TrustDocument(f.Issuer, f.Audience, f.Subject)
}

type roleCreate struct {
	dataFlags  `embed:""`
	trustFlags `embed:""`
	Name       string   `arg:"" help:"Name of the role."`
	Policy     []string `placeholder:"POLICY" help:"Attach this policy, such as ${power_user}; see berth policy list."`
}

func (cmd roleCreate) Run(ctx context.Context, c console) error {
	document, err := cmd.document(c)
	if err != nil {
		return err
	}
	return cmd.withManager(ctx, c, func(m *auth.Manager, _ *meta.DB) error {
		if _, err := m.CreateRole(ctx, cmd.Name, document, cmd.Policy...); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "role %s created\n", cmd.Name)
		if len(cmd.Policy) == 0 {
			fmt.Fprintf(c.err, "It may do nothing yet; attach a policy: berth role attach %s %s\n", cmd.Name, auth.PowerUser)
		}
		return nil
	})
}

type roleTrust struct {
	dataFlags  `embed:""`
	trustFlags `embed:""`
	Name       string `arg:"" help:"Name of the role."`
}

func (cmd roleTrust) Run(ctx context.Context, c console) error {
	document, err := cmd.document(c)
	if err != nil {
		return err
	}
	return cmd.withManager(ctx, c, func(m *auth.Manager, _ *meta.DB) error { return m.SetTrust(ctx, cmd.Name, document) })
}

type roleShow struct {
	dataFlags `embed:""`
	Name      string `arg:"" help:"Name of the role."`
}

func (cmd roleShow) Run(ctx context.Context, c console) error {
	return cmd.withManager(ctx, c, func(_ *auth.Manager, db *meta.DB) error {
		a, err := db.Account(ctx, cmd.Name)
		if err != nil {
			return fmt.Errorf("%s: %w", cmd.Name, err)
		}
		if a.Kind != auth.Role {
			return fmt.Errorf("%s is a %s: only roles are taken on", a.Name, a.Kind)
		}
		_, err = fmt.Fprintln(c.out, strings.TrimRight(a.Trust, "\n"))
		return err
	})
}

type roleList struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
}

func (cmd roleList) Run(ctx context.Context, c console) error {
	return listAccounts(ctx, c, cmd.dataFlags, cmd.outputFlag, auth.Role)
}
