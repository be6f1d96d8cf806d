package s3test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// module is built at this version, so that tests mean the same everywhere.
const module = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// find returns the path of the server.
var find = sync.OnceValues(func() (string, error) {
	if path, err := exec.LookPath("versitygw"); err == nil {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "berth", "bin")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(folder, ".versitygw.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(folder, "versitygw")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, build(folder)
})

// lock keeps several test binaries from building at once.
func lock(name string) (unlock func(), err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

func build(folder string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "go", "install", module)
	install.Dir = folder // outside of any module, whose versions would count
	install.Env = append(os.Environ(), "GOBIN="+folder, "GOFLAGS=", "GOWORK=off")
	if output, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("go install %s: %w: %s", module, err, output)
	}
	return nil
}
