package credhelper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// errNoFolder says that docker login has no place for what it is told.
var errNoFolder = errors.New("there is no folder for logins: set HOME or XDG_CONFIG_HOME")

// lasting are the logins that docker stores, by what docker calls the registry.
type lasting map[string]storedLogin

type storedLogin struct {
	Username string // <token> if the secret is an identity token
	Secret   string
}

// loginsFile is where they are.
func (h *Helper) loginsFile() string { return filepath.Join(h.Config, "logins.json") }

// logins reads what is stored. A file that cannot be read is never taken for an empty one:
// the next docker login would lose what is in it.
func (h *Helper) logins() (lasting, error) {
	if h.Config == "" {
		return lasting{}, nil
	}
	content, err := os.ReadFile(h.loginsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return lasting{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("stored logins cannot be read: %w", err)
	}
	all := lasting{}
	if err := json.Unmarshal(content, &all); err != nil {
		return nil, fmt.Errorf("%s is damaged; remove it and log in again with docker login", h.loginsFile())
	}
	return all, nil
}

// changeLogins changes what is stored, one process at a time.
func (h *Helper) changeLogins(ctx context.Context, change func(lasting)) error {
	if h.Config == "" {
		return errNoFolder
	}
	unlock, err := lock(ctx, h.loginsFile()+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	all, err := h.logins()
	if err != nil {
		return err
	}
	before := maps.Clone(all)
	change(all)
	if maps.Equal(before, all) {
		return nil
	}
	var content bytes.Buffer
	enc := json.NewEncoder(&content)
	enc.SetIndent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	return writeFile(h.loginsFile(), content.Bytes())
}

// find returns the name under which there is a login at a registry.
func (l lasting) find(server string) (name string, found bool) {
	if _, found := l[server]; found {
		return server, true
	}
	at, err := parseHost(server)
	if err != nil {
		return "", false
	}
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if other, err := parseHost(name); err == nil && other == at {
			return name, true
		}
	}
	return "", false
}

// stored returns the login that docker has stored. Errors: ErrNotFound.
func (h *Helper) stored(server string) (Login, error) {
	all, err := h.logins()
	if err != nil {
		return Login{}, err
	}
	name, found := all.find(server)
	if !found {
		return Login{}, ErrNotFound
	}
	return Login{Username: all[name].Username, Secret: all[name].Secret}, nil
}
