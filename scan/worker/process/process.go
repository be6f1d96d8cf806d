// Package process runs a program beside this one that must not get in its way: with lower
// priority, in a process group of its own, and never longer than this process lives.
//
// What only Linux can is left out elsewhere: the priority of disk access, limits, the
// memory in use, and that the kernel ends the program when this process is killed.
package process

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// Nice is the priority that programs get: lower than that of all who have not asked for less.
const Nice = 19

// Process is a program that was started.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended, once done is closed

	mu    sync.Mutex
	ended bool // so that its id may be somebody else's
}

// Start starts a program in a process group of its own and, if g is not nil, in that control group.
func Start(cmd *exec.Cmd, g *Group) (*Process, error) {
	cmd.SysProcAttr = attributes(g)
	cmd.SysProcAttr.Setpgid = true
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The thread is lowered and then starts the program, which has its priority from it.
		// It is locked for as long as the program runs, since to the kernel the parent is
		// the thread; and never unlocked, so that nothing else runs on it afterwards.
		runtime.LockOSThread()
		lowerThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.wait()
		}
	}()
	return p, <-started
}

func (p *Process) wait() {
	err := p.cmd.Wait()
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL) // what it has started and left behind
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.err = err
	close(p.done)
}

// Pid is the id of the process, which is also that of its group.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err waits until the program has ended, and says how: nil, or an *exec.ExitError.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Terminate asks the program to end.
func (p *Process) Terminate() { p.signal(p.Pid(), syscall.SIGTERM) }

// Kill ends the program and all that it has started.
func (p *Process) Kill() { p.signal(-p.Pid(), syscall.SIGKILL) }

// signal does nothing when the program has ended.
func (p *Process) signal(pid int, s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		_ = syscall.Kill(pid, s) // it may have ended right now
	}
}
