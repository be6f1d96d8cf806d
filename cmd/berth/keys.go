package main

import (
	"context"
	"errors"
	"fmt"

	"berth/auth/accesskey"
)

// keyCommand administers access keys.
type keyCommand struct {
	Create  keyCreate  `cmd:"" help:"Give a user or robot an access key, with which the aws CLI, SDKs and Terraform sign."`
	List    keyList    `cmd:"" help:"List access keys."`
	Rotate  keyRotate  `cmd:"" help:"Give an account with one key a second, to take the place of the first."`
	Disable keyDisable `cmd:"" help:"Switch an access key off, at once."`
	Enable  keyEnable  `cmd:"" help:"Switch an access key on again."`
	Delete  keyDelete  `cmd:"" help:"Delete an access key."`
	Reseal  keyReseal  `cmd:"" help:"Seal all access keys with the first --secret-key, so that the others can go."`
}

// keyFlags are those of commands that seal keys.
type keyFlags struct {
	dataFlags   `embed:""`
	secretFlags `embed:""`
}

// withSealer calls do with what changes access keys and makes them.
func (f keyFlags) withSealer(ctx context.Context, c console, do func(*accesskey.Manager) error) error {
	return f.withKeys(ctx, c, func(m *accesskey.Manager) (err error) {
		if m.Sealer, err = f.sealer(f.dataFlags); err != nil {
			return err
		}
		return do(m)
	})
}

// withKeys calls do with what changes access keys.
func (f dataFlags) withKeys(ctx context.Context, c console, do func(*accesskey.Manager) error) error {
	db, err := f.openDatabase(ctx)
	if err != nil {
		return err
	}
	audit, err := f.audit(c)
	if err == nil {
		err = do(&accesskey.Manager{Store: db, Changed: audit.keyChanged})
	}
	return errors.Join(err, db.Close())
}

type keyCreate struct {
	keyFlags   `embed:""`
	outputFlag `embed:""`
	Account    string `arg:"" help:"Name of the user or robot."`
}

func (cmd keyCreate) Run(ctx context.Context, c console) error {
	return cmd.withSealer(ctx, c, func(m *accesskey.Manager) error {
		k, secret, err := m.Create(ctx, cmd.Account)
		if err != nil {
			return err
		}
		return cmd.printKey(c, k, secret)
	})
}

// createdKey is a new key, as aws iam create-access-key calls its parts.
type createdKey struct {
	ID     string `json:"accessKeyId"`
	Secret string `json:"secretAccessKey"`
	User   string `json:"userName"`
}

func (f outputFlag) printKey(c console, k accesskey.Key, secret string) error {
	return f.print(c, createdKey{k.ID, secret, k.Account},
		[]string{"ACCOUNT", "ACCESS KEY ID", "SECRET ACCESS KEY (shown once)"}, [][]string{{k.Account, k.ID, secret}})
}

type keyRotate struct {
	keyFlags   `embed:""`
	outputFlag `embed:""`
	Account    string `arg:"" help:"Name of the user or robot."`
}

func (cmd keyRotate) Run(ctx context.Context, c console) error {
	return cmd.withSealer(ctx, c, func(m *accesskey.Manager) error {
		k, secret, old, err := m.Rotate(ctx, cmd.Account)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.err, "When nothing uses the old key any more: berth key delete %s\n", old.ID)
		return cmd.printKey(c, k, secret)
	})
}

type keyList struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Account    string `arg:"" optional:"" help:"Name of the user or robot; left out: all."`
}

type listedKey struct {
	ID         string `json:"accessKeyId"`
	Account    string `json:"userName"`
	Status     string `json:"status"` // as IAM has it
	CreatedAt  string `json:"createdAt"`
	LastUsedAt string `json:"lastUsedAt,omitempty"`
}

func (cmd keyList) Run(ctx context.Context, c console) error {
	db, err := cmd.openDatabase(ctx)
	if err != nil {
		return err
	}
	var keys []accesskey.Key
	if cmd.Account != "" {
		if _, err = db.Account(ctx, cmd.Account); err == nil {
			keys, err = db.AccessKeys(ctx, cmd.Account)
		}
	} else {
		keys, err = allKeys(ctx, db)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	listed := []listedKey{}
	var rows [][]string
	for _, k := range keys {
		l := listedKey{k.ID, k.Account, "Active", formatTime(k.CreatedAt), ""}
		if k.Disabled {
			l.Status = "Inactive"
		}
		if !k.LastUsedAt.IsZero() {
			l.LastUsedAt = formatTime(k.LastUsedAt)
		}
		listed = append(listed, l)
		rows = append(rows, []string{l.Account, l.ID, l.Status, l.CreatedAt, l.LastUsedAt})
	}
	return cmd.print(c, listed, []string{"ACCOUNT", "ACCESS KEY ID", "STATUS", "CREATED", "LAST USED"}, rows)
}

func allKeys(ctx context.Context, store accesskey.Store) (all []accesskey.Key, err error) {
	const page = 1000
	for last := ""; ; {
		keys, err := store.AllAccessKeys(ctx, last, page)
		all = append(all, keys...)
		if err != nil || len(keys) < page {
			return all, err
		}
		last = keys[len(keys)-1].ID
	}
}

type keyDisable struct {
	dataFlags `embed:""`
	ID        string `arg:"" help:"ID of the access key."`
}

func (cmd keyDisable) Run(ctx context.Context, c console) error {
	return cmd.withKeys(ctx, c, func(m *accesskey.Manager) error { return m.SetDisabled(ctx, cmd.ID, true) })
}

type keyEnable struct {
	dataFlags `embed:""`
	ID        string `arg:"" help:"ID of the access key."`
}

func (cmd keyEnable) Run(ctx context.Context, c console) error {
	return cmd.withKeys(ctx, c, func(m *accesskey.Manager) error { return m.SetDisabled(ctx, cmd.ID, false) })
}

type keyDelete struct {
	dataFlags `embed:""`
	ID        string `arg:"" help:"ID of the access key."`
}

func (cmd keyDelete) Run(ctx context.Context, c console) error {
	return cmd.withKeys(ctx, c, func(m *accesskey.Manager) error { return m.Delete(ctx, cmd.ID) })
}

type keyReseal struct {
	keyFlags `embed:""`
}

func (cmd keyReseal) Run(ctx context.Context, c console) error {
	return cmd.withSealer(ctx, c, func(m *accesskey.Manager) error {
		n, err := m.Reseal(ctx)
		if err == nil {
			fmt.Fprintf(c.out, "access keys sealed anew: %d\n", n)
		}
		return err
	})
}
