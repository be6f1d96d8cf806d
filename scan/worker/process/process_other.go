//go:build !linux

package process

import "syscall"

func attributes(*Group) *syscall.SysProcAttr { return new(syscall.SysProcAttr) }
func lowerThread()                           {}

// Memory is how much memory the program has in use, which is not known here: zero.
func (p *Process) Memory() int64 { return 0 }

// Limit does nothing here.
func (p *Process) Limit(data, file int64) error { return nil }
