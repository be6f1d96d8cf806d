package process

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sleeper starts a shell that has another process sleep, and returns the ids of both.
func sleeper(t *testing.T) (p *Process, pids []int) {
	var out bytes.Buffer
	ready := filepath.Join(t.TempDir(), "ready")
	cmd := exec.Command("sh", "-c", `sleep 3600 & echo $$ $! > `+ready+`.new; mv `+ready+`.new `+ready+`; wait`)
	cmd.Stdout, cmd.WaitDelay = &out, time.Second
	p, err := Start(cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	eventually(t, "it runs", func() bool { _, err := os.Stat(ready); return err == nil })
	b, err := os.ReadFile(ready)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return p, pids
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

// runs reports whether a process is there and not dead.
func runs(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && len(b) > 0
}

// TestKill has a program end with all that it has started.
func TestKill(t *testing.T) {
	p, pids := sleeper(t)
	if p.Pid() != pids[0] {
		t.Errorf("the process is %d, and says that it is %d", p.Pid(), pids[0])
	}
	p.Kill()
	if err := p.Err(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("it ended with %v", err)
	}
	for _, pid := range pids {
		eventually(t, "all have ended", func() bool { return !runs(pid) })
	}
	p.Kill() // does nothing
	p.Terminate()
}

// TestEnd has what a program has started end with it.
func TestEnd(t *testing.T) {
	p, pids := sleeper(t)
	p.Terminate()
	<-p.Done()
	eventually(t, "what it has started has ended", func() bool { return !runs(pids[1]) })
}

func TestStartFails(t *testing.T) {
	_, err := Start(exec.Command("/does/not/exist"), nil)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the error is %v", err)
	}
}

// TestLimit has the kernel refuse what is more than a program may have.
func TestLimit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `read line; dd if=/dev/zero of=`+file+` bs=64k count=64 2>/dev/null; ulimit -d`)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout = read, &out
	p, err := Start(cmd, nil)
	read.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Limit(256<<20, 1<<20); err != nil {
		t.Fatal(err)
	}
	write.WriteString("go on\n")
	write.Close()
	<-p.Done()
	if info, err := os.Stat(file); err != nil || info.Size() != 1<<20 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if got := strings.TrimSpace(out.String()); got != "262144" {
		t.Errorf("private memory is limited to %s KiB", got)
	}
}

// TestMemory has a program be measured.
func TestMemory(t *testing.T) {
	p, _ := sleeper(t)
	if m := p.Memory(); m < 32<<10 || m > 32<<20 {
		t.Errorf("a shell uses %d bytes", m)
	}
	p.Kill()
	<-p.Done()
	if m := p.Memory(); m != 0 {
		t.Errorf("who is dead uses %d bytes", m)
	}
}

// TestParentDies has the program end when the process that started it is killed.
func TestParentDies(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("BERTH_TEST_PARENT") != "" {
		p, err := Start(exec.Command("sleep", "3600"), nil)
		if err != nil {
			panic(err)
		}
		os.Stdout.WriteString(strconv.Itoa(p.Pid()) + "\n")
		select {}
	}
	cmd := exec.Command(self, "-test.run=^TestParentDies$")
	cmd.Env = append(os.Environ(), "BERTH_TEST_PARENT=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 16)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if !runs(pid) {
		t.Fatal("the program has ended by itself")
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	eventually(t, "the program has ended", func() bool { return !runs(pid) })
}

// TestGroup makes a control group in a folder that looks like that of the kernel.
func TestGroup(t *testing.T) {
	for own, parent := range map[string]string{"/": "", "/system.slice/berth.service/main": "system.slice/berth.service"} {
		root := t.TempDir()
		dir := filepath.Join(root, "sys/fs/cgroup", parent)
		for _, folder := range []string{dir, filepath.Join(root, "proc/self")} {
			if err := os.MkdirAll(folder, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for name, content := range map[string]string{"proc/self/cgroup": "4:memory:/x\n0::" + own + "\n", "sys/fs/cgroup/" + parent + "/cgroup.subtree_control": ""} {
			if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		g, err := newGroup(root, "scanner", 12345)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(dir, "scanner-"+strconv.Itoa(os.Getpid())); g.dir != want {
			t.Errorf("the group is %s, not %s", g.dir, want)
		}
		for name, want := range map[string]string{filepath.Join(g.dir, "memory.max"): "12345", filepath.Join(dir, "cgroup.subtree_control"): "+memory"} {
			if b, err := os.ReadFile(name); string(b) != want {
				t.Errorf("%s has %q, not %q: %v", name, b, want, err)
			}
		}
	}
}

// TestNoGroup has it be told where there can be none.
func TestNoGroup(t *testing.T) {
	root := t.TempDir()
	if _, err := newGroup(root, "scanner", 1); err == nil {
		t.Error("there is a group without a kernel")
	}
	if err := os.MkdirAll(filepath.Join(root, "proc/self"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "proc/self/cgroup"), []byte("4:memory:/x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newGroup(root, "scanner", 1); err == nil || !strings.Contains(err.Error(), "no cgroup v2") {
		t.Errorf("the error is %v", err)
	}
}
