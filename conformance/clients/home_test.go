package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// settings are the files that every script finds below $WORK.
var settings = map[string]string{
	"wrong": "not the password",

	// podman and buildah. The driver vfs leaves no mounts behind, so that the folder can be removed.
	"home/storage.conf": `[storage]
driver = "vfs"
graphroot = "$WORK/storage"
runroot = "$WORK/run"
`,
	// Containers get what a container inside a container can have: no network and modest limits. crun refuses machines
	// with both cgroup versions, runc takes them.
	"home/containers.conf": `[containers]
netns = "none"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
events_logger = "none"
`,
	// Where podman, buildah and skopeo keep a login.
	"home/auth.json": "{}",
}

// setup gives each script a home of its own, so that no login and no image of the user's can help a client.
func setup(e *testscript.Env) error {
	begun := time.Now()
	e.Defer(func() {
		record(e.T().(testing.TB), time.Since(begun))
		os.RemoveAll(e.WorkDir) // a script leaves half a gigabyte
	})
	files := map[string]string{"password": target.password}
	for name, content := range settings {
		files[name] = strings.ReplaceAll(content, "$WORK", e.WorkDir)
	}
	home := filepath.Join(e.WorkDir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(e.WorkDir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	e.Vars = append(e.Vars,
		"HOME="+home,
		"CONTAINERS_STORAGE_CONF="+home+"/storage.conf",
		"CONTAINERS_CONF="+home+"/containers.conf",
		"REGISTRY_AUTH_FILE="+home+"/auth.json",
		"REGISTRY="+target.host,
		"LOGIN="+target.user,
		"PASSWORD="+target.password,
		"ACCESS_KEY_ID="+target.key.ID,
		"SECRET_ACCESS_KEY="+target.key.Secret,
		"DEBIAN="+fixtures.debian,
		"STRANGER_PASSWORD="+strangerPassword,
		"HELLO_AMD64="+fixtures.helloAMD64,
		"HELLO_ARM64="+fixtures.helloARM64,
		"VULNERABILITIES="+fixtures.vulnerabilities,
		"VULNERABILITIES_NEWER="+fixtures.newer,
	)
	e.Vars = append(e.Vars, operator...)
	return nil
}
