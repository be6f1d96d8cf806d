package credhelper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// DockerName is what docker runs for the credHelper that it calls berth.
const DockerName = "docker-credential-berth"

// What docker and its kin know by these texts.
var (
	errNoServer   = errors.New("no credentials server URL")
	errNoUsername = errors.New("no credentials username")
)

// maxInput is more than any client says.
const maxInput = 1 << 20

// storeTimeout is how long to wait for another process that changes stored logins.
const storeTimeout = 10 * time.Second

// credentials is a login as docker writes it.
type credentials struct {
	ServerURL string
	Username  string
	Secret    string
}

// Docker does what a client wants of its credential helper: get, store, erase, list or
// version. Clients read an error from standard output.
func (h *Helper) Docker(ctx context.Context, action string, in io.Reader, out io.Writer) error {
	switch action {
	case "get":
		return h.dockerGet(ctx, in, out)
	case "store":
		return h.dockerStore(ctx, in)
	case "erase":
		return h.dockerErase(ctx, in)
	case "list":
		return h.dockerList(out)
	case "version":
		_, err := fmt.Fprintf(out, "%s (berth) %s\n", DockerName, h.Version)
		return err
	}
	return fmt.Errorf("%s: unknown action: %s", DockerName, clean(action))
}

func (h *Helper) dockerGet(ctx context.Context, in io.Reader, out io.Writer) error {
	server, err := readServer(in)
	if err != nil {
		return err
	}
	login, err := h.Login(ctx, server)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(credentials{server, login.Username, login.Secret})
}

func (h *Helper) dockerStore(ctx context.Context, in io.Reader) error {
	var c credentials
	switch err := json.NewDecoder(io.LimitReader(in, maxInput)).Decode(&c); {
	case err != nil:
		return errors.New("standard input is not the JSON of ServerURL, Username and Secret")
	case c.ServerURL == "":
		return errNoServer
	case c.Username == "":
		return errNoUsername
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return h.changeLogins(ctx, func(all lasting) { all[c.ServerURL] = storedLogin{c.Username, c.Secret} })
}

// dockerErase forgets all of a registry: what was stored and what was remembered. That
// nothing was there is no error, for then docker logout has what it wants.
func (h *Helper) dockerErase(ctx context.Context, in io.Reader) error {
	server, err := readServer(in)
	if err != nil {
		return err
	}
	if at, err := parseHost(server); err == nil {
		if err := h.memory().forget(at); err != nil {
			return err
		}
	}
	if h.Config == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return h.changeLogins(ctx, func(all lasting) {
		if name, found := all.find(server); found {
			delete(all, name)
		}
	})
}

func (h *Helper) dockerList(out io.Writer) error {
	all, err := h.logins()
	if err != nil {
		return err
	}
	users := map[string]string{}
	for server, login := range all {
		users[server] = login.Username
	}
	return json.NewEncoder(out).Encode(users)
}

// readServer reads what a client calls the registry.
func readServer(in io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(in, maxInput))
	if err != nil {
		return "", err
	}
	server := strings.TrimSpace(string(b))
	if server == "" {
		return "", errNoServer
	}
	return server, nil
}
