package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Group is a control group with a limit on memory, for a program and all that it starts.
// https://docs.kernel.org/admin-guide/cgroup-v2.html
type Group struct {
	dir    string
	folder *os.File
}

// NewGroup makes a group beside that of this process, which needs cgroup v2 and the right
// to make one there: systemd gives it with Delegate=memory and DelegateSubgroup=.
func NewGroup(name string, memory int64) (*Group, error) { return newGroup("/", name, memory) }

// newGroup is NewGroup with the files of the kernel below root.
func newGroup(root, name string, memory int64) (*Group, error) {
	b, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil, err
	}
	own := ""
	for line := range strings.Lines(string(b)) {
		if path, found := strings.CutPrefix(line, "0::"); found {
			own = strings.TrimSpace(path)
		}
	}
	if own == "" {
		return nil, errors.New("this system has no cgroup v2")
	}
	// In a group of which others are part there can be no processes.
	parent := filepath.Join(root, "sys/fs/cgroup", filepath.Dir(own))
	if _, err := os.Stat(filepath.Join(parent, "cgroup.subtree_control")); err != nil {
		return nil, fmt.Errorf("cgroup v2 is not where it usually is: %w", err)
	}
	if err := os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+memory"), 0); err != nil {
		return nil, err
	}
	g := &Group{dir: filepath.Join(parent, name+"-"+strconv.Itoa(os.Getpid()))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, err
	}
	for file, value := range map[string]string{"memory.max": strconv.FormatInt(memory, 10), "memory.swap.max": "0", "memory.oom.group": "0"} {
		err := os.WriteFile(filepath.Join(g.dir, file), []byte(value), 0o644)
		if err != nil && file == "memory.max" { // the others are not everywhere
			return nil, errors.Join(err, g.Close())
		}
	}
	if g.folder, err = os.Open(g.dir); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// Close removes the group. Nothing may run in it any more.
func (g *Group) Close() error {
	if g.folder != nil {
		g.folder.Close()
	}
	return os.Remove(g.dir)
}
