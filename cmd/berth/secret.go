package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"berth/auth/accesskey"
	"berth/storage/checkup"
)

// secretFlags say what access keys are sealed with. Commands that make them have it, and
// serve.
type secretFlags struct {
	SecretKey []string `placeholder:"FILE|env:NAME" help:"File, or variable of the environment, with the secret that access keys are sealed with in the database: at least 32 random bytes, as openssl rand -base64 48 makes them; with several, the first seals. By default DATA/secret.key, made if need be, where the registry is on this machine."`
}

// errNoSecret is told where several servers may share a database, which all need the same.
var errNoSecret = errors.New("access keys need a secret that all servers share: make a file with openssl rand -base64 48 and name it with --secret-key")

// check looks at the secret without making it.
func (f secretFlags) check(data dataFlags) checkup.Finding {
	_, err := os.Stat(f.ofFolder(data))
	if len(f.SecretKey) == 0 && data.local() && errors.Is(err, fs.ErrNotExist) {
		return checkup.Fine("%s, which seals them, will be made by the first start", f.ofFolder(data))
	}
	switch _, err := f.sealer(data); {
	case errors.Is(err, errNoSecret):
		return checkup.Warn("there will be none, so the aws CLI, SDKs and Terraform cannot sign", "give all servers the same --secret-key: openssl rand -base64 48 > FILE; chmod 600 FILE")
	case err != nil:
		return checkup.Bad(err.Error(), "name a file that holds what openssl rand -base64 48 prints, and that only the server may read")
	}
	return checkup.Fine("the secret that seals them can be read")
}

// ofFolder is where the secret is by default.
func (secretFlags) ofFolder(data dataFlags) string { return filepath.Join(data.Data, "secret.key") }

// sealer loads the secret, or makes it. Errors: errNoSecret.
func (f secretFlags) sealer(data dataFlags) (*accesskey.Sealer, error) {
	paths := f.SecretKey
	if len(paths) == 0 {
		if !data.local() {
			return nil, errNoSecret
		}
		path := f.ofFolder(data)
		if err := makeSecret(path); err != nil {
			return nil, err
		}
		paths = []string{path}
	}
	secrets := make([][]byte, len(paths))
	for i, path := range paths {
		var err error
		if secrets[i], err = loadSecret(path); err != nil {
			return nil, fmt.Errorf("--secret-key: %w", err)
		}
	}
	s, err := accesskey.NewSealer(secrets...)
	if err != nil {
		return nil, fmt.Errorf("--secret-key %s: %w", strings.Join(paths, ","), err)
	}
	return s, nil
}

// loadSecret reads a file, or a variable of the environment.
func loadSecret(place string) ([]byte, error) {
	name, isVariable := strings.CutPrefix(place, "env:")
	if !isVariable {
		return accesskey.LoadSecret(place)
	}
	if os.Getenv(name) == "" {
		return nil, fmt.Errorf("the variable %s is empty", name)
	}
	return []byte(os.Getenv(name)), nil
}

// makeSecret writes a secret unless there is one. It has its name only when it is whole.
func makeSecret(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	secret := make([]byte, 48)
	rand.Read(secret)
	_, err = file.WriteString(base64.StdEncoding.EncodeToString(secret) + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	err = os.Link(file.Name(), path) // which another process may have done meanwhile
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
