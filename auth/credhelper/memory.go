package credhelper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// memory remembers the logins that registries have given, each in a file of its own.
// Whatever is wrong with it, there is a login: it only saves asking for one.
type memory struct {
	dir     string // empty: nothing is remembered
	now     func() time.Time
	warn    func(error)
	timeout time.Duration // how long to wait for another process that asks
}

func (h *Helper) memory() memory {
	m := memory{now: h.now, warn: h.warn, timeout: h.Timeout}
	if h.Cache != "" {
		m.dir = filepath.Join(h.Cache, "logins")
	}
	if m.timeout == 0 {
		m.timeout = defaultTimeout
	}
	return m
}

// remembered is a login in its file.
type remembered struct {
	Host     host
	Username string
	Secret   string
	Until    time.Time // when it expires
	Forget   time.Time // when to ask for another already
}

const suffix = ".json"

// remember returns the login of an identity at a registry, which it asks for with fetch if
// none is remembered. Of several processes one asks and the others wait for it.
func (m memory) remember(ctx context.Context, at host, who string, fetch func() (Login, error)) (Login, error) {
	if m.dir == "" {
		return fetch()
	}
	path := filepath.Join(m.dir, identity(string(at), who)+suffix)
	if login, ok := m.read(path); ok {
		return login, nil
	}
	waiting, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	if unlock, err := lock(waiting, path+".lock"); err == nil {
		defer unlock()
		if login, ok := m.read(path); ok {
			return login, nil
		}
	} else if ctx.Err() != nil {
		return Login{}, err
	}
	login, err := fetch()
	if err != nil {
		return Login{}, err
	}
	if err := m.write(path, at, login); err != nil {
		m.warn(fmt.Errorf("the login at %s is not remembered: %w", at, err))
	}
	m.sweep()
	return login, nil
}

// read returns a login unless it is about to expire. A damaged file is like none.
func (m memory) read(path string) (Login, bool) {
	r, err := readRemembered(path)
	if err != nil || !m.now().Before(r.Forget) || r.Username == "" || r.Secret == "" {
		return Login{}, false
	}
	return Login{r.Username, r.Secret, r.Until}, true
}

func readRemembered(path string) (remembered, error) {
	var r remembered
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, &r)
	}
	return r, err
}

// write keeps a login until the last tenth of its life, or the last half hour of a long
// one: what begins with it should also end with it.
func (m memory) write(path string, at host, login Login) error {
	life := login.Until.Sub(m.now())
	if login.Until.IsZero() || life <= 0 {
		return nil
	}
	content, err := json.Marshal(remembered{
		Host: at, Username: login.Username, Secret: login.Secret,
		Until: login.Until, Forget: login.Until.Add(-min(life/10, 30*time.Minute)),
	})
	if err != nil {
		return err
	}
	return writeFile(path, content)
}

// sweep removes what has expired. That of others may be under way: then it is asked for
// once more than need be.
func (m memory) sweep() {
	m.remove(func(path string, changed time.Time) bool {
		if r, err := readRemembered(path); strings.HasSuffix(path, suffix) && err == nil {
			return m.now().After(r.Until)
		}
		return m.now().Sub(changed) > 24*time.Hour
	})
}

// forget removes what is remembered of a registry.
func (m memory) forget(at host) error {
	return m.remove(func(path string, _ time.Time) bool {
		r, err := readRemembered(path)
		return err == nil && r.Host == at
	})
}

// remove removes the files that are to go.
func (m memory) remove(goes func(path string, changed time.Time) bool) error {
	if m.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(m.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		path := filepath.Join(m.dir, e.Name())
		if info, infoErr := e.Info(); infoErr == nil && goes(path, info.ModTime()) {
			if removeErr := os.Remove(path); !errors.Is(removeErr, os.ErrNotExist) {
				err = errors.Join(err, removeErr)
			}
		}
	}
	return err
}
