// Package server starts the programs that the conformance tests talk to, waits until they answer and stops them again.
//
// It knows processes, ports and addresses. What is asked of a program once it runs is the business of the tests next door.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// drain is how long a program may take to end after SIGTERM before it is killed: more than the 30 seconds that berth takes
// for requests that go on.
const drain = 40 * time.Second

// Command says how a program is started and how one sees that it is up.
type Command struct {
	Name  string              // what messages call it
	Path  string              // the binary
	Args  []string            // its arguments
	Env   []string            // added to the environment of the test, as KEY=value
	As    *syscall.Credential // who runs it; nil means who runs the test
	Log   string              // file that receives stdout and stderr; empty throws them away
	Ready func() error        // nil once the program answers; asked every 20 ms, or every Poll
	Wait  time.Duration       // how long to ask; zero means 30 seconds
	Poll  time.Duration       // how long to rest between two questions
}

// Process is a program that runs.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed once the program has ended
	err  error         // how it ended; read after done
}

// Start runs c and returns once it is ready. A program that ends or stays silent is an error that quotes its log.
func Start(ctx context.Context, c Command) (*Process, error) {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	// A group of its own: Ctrl-C reaches the test alone, which then stops the program in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.As}
	if c.Log != "" {
		f, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		cmd.Stdout, cmd.Stderr = f, f
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	p := &Process{name: c.Name, cmd: cmd, log: c.Log, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := p.await(ctx, c); err != nil {
		_ = p.Stop()
		return nil, fmt.Errorf("%w%s", err, p.tail())
	}
	return p, nil
}

// await asks c.Ready until it is content.
func (p *Process) await(ctx context.Context, c Command) error {
	if c.Ready == nil {
		return nil
	}
	wait, poll := c.Wait, c.Poll
	if wait == 0 {
		wait = 30 * time.Second
	}
	if poll == 0 {
		poll = 20 * time.Millisecond
	}
	timeout := time.After(wait)
	for {
		err := c.Ready()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(poll):
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready: %v", c.Name, p.err)
		case <-timeout:
			return fmt.Errorf("%s was not ready after %v: %w", c.Name, wait, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// PID is the process id, by which the benchmark finds CPU time and memory.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks the program to end with SIGTERM and waits for it. A program that does not is killed, and that is an error:
// berth promises to drain.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(drain):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("%s had to be killed: it ignored SIGTERM for %v", p.name, drain)
}

// tail quotes the end of the log.
func (p *Process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil || len(b) == 0 {
		return ""
	}
	const keep = 2000
	if len(b) > keep {
		b = b[len(b)-keep:]
	}
	return "; its log ends:\n" + strings.TrimSpace(string(b))
}

// FreeAddr returns a loopback address that nobody listens on. Someone may take it before the caller does, which on a
// machine that runs tests has not been seen to happen.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Answers is a Ready that wants url to answer with one of the statuses, or with any if none is given.
func Answers(url string, statuses ...int) func() error {
	client := &http.Client{Timeout: 5 * time.Second}
	return func() error {
		resp, err := client.Get(url)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		for _, s := range statuses {
			if s == resp.StatusCode {
				return nil
			}
		}
		if len(statuses) > 0 {
			return fmt.Errorf("%s answers %s", url, resp.Status)
		}
		return nil
	}
}
