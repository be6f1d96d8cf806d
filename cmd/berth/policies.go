package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"berth/auth"
	"berth/storage/meta"
)

// policyCommand administers what accounts may do.
type policyCommand struct {
	Add    policyAdd    `cmd:"" help:"Add a policy of your own, or replace it."`
	List   policyList   `cmd:"" help:"List policies, the built-in ones first."`
	Show   policyShow   `cmd:"" help:"Print the JSON of a policy."`
	Attach policyAttach `cmd:"" help:"Give an account what a policy says."`
	Detach policyDetach `cmd:"" help:"Take a policy from an account."`
	Remove policyRemove `cmd:"" help:"Remove a policy of your own."`

	Simulate policySimulate `cmd:"" help:"Say whether somebody may do something, and which statement decides."`
}

type policyAdd struct {
	dataFlags  `embed:""`
	Name       string   `arg:"" help:"Name of the policy."`
	File       string   `xor:"source" placeholder:"FILE" help:"IAM policy in JSON; - reads standard input."`
	Repository []string `placeholder:"PATTERN" help:"Instead of a file: repositories that the policy is about, such as team/*."`
	Allow      []string `placeholder:"VERB" default:"pull" help:"What it allows there: pull, push, delete."`
}

func (cmd policyAdd) Run(ctx context.Context, c console) error {
	document, err := cmd.document(c)
	if err != nil {
		return err
	}
	return cmd.withManager(ctx, c, func(m *auth.Manager, _ *meta.DB) error { return m.PutPolicy(ctx, cmd.Name, document) })
}

func (cmd policyAdd) document(c console) (string, error) {
	switch {
	case (cmd.File == "") == (len(cmd.Repository) == 0):
		return "", fmt.Errorf("a policy comes from --file or is made with --repository: give one of them")
	case cmd.File == "-":
		b, err := io.ReadAll(c.in)
		return string(b), err
	case cmd.File != "":
		b, err := os.ReadFile(cmd.File)
		return string(b), err
	}
	anywhere := auth.Location{Region: "*", Account: "*"} // whatever --region and --registry-id say
	return auth.GrantDocument(anywhere, cmd.Repository, cmd.Allow)
}

type policyList struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
}

type listedPolicy struct {
	Name    string `json:"name"`
	Builtin bool   `json:"builtin"`
}

func (cmd policyList) Run(ctx context.Context, c console) error {
	return cmd.withManager(ctx, c, func(_ *auth.Manager, db *meta.DB) error {
		var listed []listedPolicy
		var rows [][]string
		for _, name := range auth.ManagedNames() {
			listed = append(listed, listedPolicy{name, true})
			rows = append(rows, []string{name, "built-in"})
		}
		const page = 500
		for last := ""; ; {
			policies, err := db.Policies(ctx, last, page)
			if err != nil {
				return err
			}
			for _, p := range policies {
				last = p.Name
				listed = append(listed, listedPolicy{p.Name, false})
				rows = append(rows, []string{p.Name, "own"})
			}
			if len(policies) < page {
				break
			}
		}
		return cmd.print(c, listed, []string{"NAME", "KIND"}, rows)
	})
}

type policyShow struct {
	dataFlags `embed:""`
	Name      string `arg:"" help:"Name of the policy."`
}

func (cmd policyShow) Run(ctx context.Context, c console) error {
	return cmd.withManager(ctx, c, func(m *auth.Manager, _ *meta.DB) error {
		document, err := m.PolicyDocument(ctx, cmd.Name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.out, document)
		return err
	})
}

type attachment struct {
	dataFlags `embed:""`
	Account   string `arg:"" help:"Name of the user, robot or role."`
	Policy    string `arg:"" help:"Name of the policy."`
}

type (
	policyAttach attachment
	policyDetach attachment
)

func (cmd policyAttach) Run(ctx context.Context, c console) error {
	return cmd.withManager(ctx, c, func(m *auth.Manager, _ *meta.DB) error { return m.Attach(ctx, cmd.Account, cmd.Policy) })
}

func (cmd policyDetach) Run(ctx context.Context, c console) error {
	return cmd.withManager(ctx, c, func(m *auth.Manager, _ *meta.DB) error { return m.Detach(ctx, cmd.Account, cmd.Policy) })
}

type policyRemove struct {
	dataFlags `embed:""`
	Name      string `arg:"" help:"Name of the policy."`
}

func (cmd policyRemove) Run(ctx context.Context, c console) error {
	return cmd.withManager(ctx, c, func(m *auth.Manager, _ *meta.DB) error { return m.DeletePolicy(ctx, cmd.Name) })
}
