package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"berth/auth"
	"berth/storage/meta"
)

// userCommand administers people.
type userCommand struct {
	Add     userAdd       `cmd:"" help:"Add a user."`
	List    userList      `cmd:"" help:"List users."`
	Passwd  userPasswd    `cmd:"" help:"Change the password of a user."`
	Enable  accountEnable `cmd:"" help:"Let a disabled user log in again."`
	Disable accountStop   `cmd:"" help:"Keep a user out without removing it."`
	Remove  accountRemove `cmd:"" aliases:"delete" help:"Remove a user."`
}

// robotCommand administers programs.
type robotCommand struct {
	Add     robotAdd      `cmd:"" help:"Add a robot and print its secret, once."`
	List    robotList     `cmd:"" help:"List robots."`
	Rotate  robotRotate   `cmd:"" help:"Give a robot a new secret and print it, once."`
	Expire  robotExpire   `cmd:"" help:"Change when a robot expires."`
	Enable  accountEnable `cmd:"" help:"Let a disabled robot in again."`
	Disable accountStop   `cmd:"" help:"Keep a robot out without removing it."`
	Remove  accountRemove `cmd:"" aliases:"delete" help:"Remove a robot."`
}

// withManager calls do with the accounts of the registry. What it changes is logged.
func (f dataFlags) withManager(ctx context.Context, c console, do func(*auth.Manager, *meta.DB) error) error {
	audit, err := f.audit(c)
	if err != nil {
		return err
	}
	db, err := f.openDatabase(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(&auth.Manager{Store: db, Changed: audit.changed}, db), db.Close())
}

type passwordFlag struct {
	PasswordStdin bool `help:"Read the password from standard input instead of asking."`
}

func (f passwordFlag) read(c console) (string, error) {
	file, isFile := c.in.(*os.File)
	if f.PasswordStdin || !isFile || !term.IsTerminal(int(file.Fd())) {
		line, err := bufio.NewReader(c.in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if line == "" {
			return "", errors.New("there is no terminal to ask for a password on, and none came on standard input")
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	fmt.Fprint(c.err, "Password: ")
	first, err := term.ReadPassword(int(file.Fd()))
	if err != nil {
		return "", err
	}
	fmt.Fprint(c.err, "\nAgain: ")
	second, err := term.ReadPassword(int(file.Fd()))
	fmt.Fprintln(c.err)
	if err == nil && string(first) != string(second) {
		err = errors.New("the two passwords differ")
	}
	return string(first), err
}

type userAdd struct {
	dataFlags    `embed:""`
	passwordFlag `embed:""`
	Name         string   `arg:"" help:"Name of the user."`
	Policy       []string `placeholder:"POLICY" help:"Attach this policy, such as ${power_user}; see berth policy list."`
}

func (cmd userAdd) Run(ctx context.Context, c console) error {
	password, err := cmd.read(c)
	if err != nil {
		return err
	}
	return cmd.withManager(ctx, c, func(m *auth.Manager, _ *meta.DB) error {
		if _, err := m.CreateUser(ctx, cmd.Name, password, cmd.Policy...); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "user %s added\n", cmd.Name)
		if len(cmd.Policy) == 0 {
			fmt.Fprintf(c.err, "It may do nothing yet; attach a policy: berth policy attach %s %s\n", cmd.Name, auth.ReadOnly)
		}
		return nil
	})
}

type userPasswd struct {
	dataFlags    `embed:""`
	passwordFlag `embed:""`
	Name         string `arg:"" help:"Name of the user."`
}

func (cmd userPasswd) Run(ctx context.Context, c console) error {
	password, err := cmd.read(c)
	if err != nil {
		return err
	}
	return cmd.withManager(ctx, c, func(m *auth.Manager, _ *meta.DB) error {
		return m.SetPassword(ctx, cmd.Name, password)
	})
}

type userList struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
}

func (cmd userList) Run(ctx context.Context, c console) error {
	return listAccounts(ctx, c, cmd.dataFlags, cmd.outputFlag, auth.User)
}

type robotList struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
}

func (cmd robotList) Run(ctx context.Context, c console) error {
	return listAccounts(ctx, c, cmd.dataFlags, cmd.outputFlag, auth.Robot)
}

// listedAccount is an account as --output json shows it.
type listedAccount struct {
	Name      string     `json:"name"`
	Policies  []string   `json:"policies"`
	Disabled  bool       `json:"disabled"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty"`
	CreatedAt time.Time  `json:"createdAt"`
}

func listAccounts(ctx context.Context, c console, data dataFlags, output outputFlag, kind auth.Kind) error {
	return data.withManager(ctx, c, func(_ *auth.Manager, db *meta.DB) error {
		listed := []listedAccount{}
		var rows [][]string
		const page = 500
		for last := ""; ; {
			accounts, err := db.Accounts(ctx, kind, last, page)
			if err != nil {
				return err
			}
			for _, a := range accounts {
				last = a.Name
				policies, err := db.Attachments(ctx, a.Name)
				if err != nil {
					return err
				}
				l := listedAccount{Name: a.Name, Policies: policies, Disabled: a.Disabled, CreatedAt: a.CreatedAt}
				if !a.ExpiresAt.IsZero() {
					l.ExpiresAt = &a.ExpiresAt
				}
				listed = append(listed, l)
				rows = append(rows, []string{a.Name, accountState(a), formatTime(a.ExpiresAt), formatTime(a.CreatedAt), strings.Join(policies, ",")})
			}
			if len(accounts) < page {
				break
			}
		}
		return output.print(c, listed, []string{"NAME", "STATE", "EXPIRES", "CREATED", "POLICIES"}, rows)
	})
}

func accountState(a auth.Account) string {
	switch {
	case a.Disabled:
		return "disabled"
	case !a.ExpiresAt.IsZero() && time.Now().After(a.ExpiresAt):
		return "expired"
	}
	return "active"
}

type accountArg struct {
	dataFlags `embed:""`
	Name      string `arg:"" help:"Name of the account."`
}

type (
	accountEnable accountArg
	accountStop   accountArg
	accountRemove accountArg
)

// change calls do unless the account is of another kind than the command, user, robot or
// role, is about: who mistakes one for the other has mistaken the name, too.
func (a accountArg) change(ctx context.Context, k *kong.Context, c console, do func(*auth.Manager) error) error {
	kind := auth.Kind(k.Selected().Parent.Name)
	return a.withManager(ctx, c, func(m *auth.Manager, db *meta.DB) error {
		switch account, err := db.Account(ctx, a.Name); {
		case err == nil && account.Kind != kind:
			return fmt.Errorf("%s is a %s: berth %s %s is the command for it", a.Name, account.Kind, account.Kind, k.Selected().Name)
		case err != nil && !errors.Is(err, auth.ErrAccountUnknown):
			return err
		}
		return do(m)
	})
}

func (cmd accountEnable) Run(ctx context.Context, k *kong.Context, c console) error {
	return accountArg(cmd).change(ctx, k, c, func(m *auth.Manager) error { return m.SetDisabled(ctx, cmd.Name, false) })
}

func (cmd accountStop) Run(ctx context.Context, k *kong.Context, c console) error {
	return accountArg(cmd).change(ctx, k, c, func(m *auth.Manager) error { return m.SetDisabled(ctx, cmd.Name, true) })
}

func (cmd accountRemove) Run(ctx context.Context, k *kong.Context, c console) error {
	return accountArg(cmd).change(ctx, k, c, func(m *auth.Manager) error { return m.DeleteAccount(ctx, cmd.Name) })
}
