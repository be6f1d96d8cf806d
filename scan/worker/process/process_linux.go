package process

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes have the kernel kill the program when this process ends in whatever way.
func attributes(g *Group) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if g != nil {
		a.UseCgroupFD, a.CgroupFD = true, int(g.folder.Fd())
	}
	return a
}

// lowerThread gives the thread less of the processor and of the disk. It may be that low
// already, which is fine.
func lowerThread() {
	// A batch thread does not take the processor from others when it wakes up, and with the
	// shortest slice there is, others get it back within a tenth of a millisecond. Kernels before
	// 6.12 ignore the slice; filters of system calls, such as that of RestrictRealtime= of
	// systemd, refuse the call.
	// https://docs.kernel.org/scheduler/sched-eevdf.html
	const slice = 100_000 // nanoseconds
	if unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_BATCH, Nice: Nice, Runtime: slice}, 0) != nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, Nice)
	}
	// The best-effort class, and in it the lowest level.
	// https://docs.kernel.org/block/ioprio.html
	const whoProcess, bestEffort, classShift, lowest = 1, 2, 13, 7
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, bestEffort<<classShift|lowest)
}

// Memory is how much memory the program has in use, in bytes: what it has allocated, and
// not the pages of files that it reads, which the kernel takes back when it needs them.
// It is zero where that cannot be known.
func (p *Process) Memory() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Pid()))
	if err != nil {
		return 0
	}
	var size, resident, shared int64 // in pages; shared are those of files
	if _, err := fmt.Sscan(string(b), &size, &resident, &shared); err != nil {
		return 0
	}
	return (resident - shared) * int64(os.Getpagesize())
}

// Limit has the kernel refuse the program more private memory than data, and files longer
// than file, in bytes. It counts what was asked for, not what is used, so data should be
// more than a limit that is looked after by Memory.
func (p *Process) Limit(data, file int64) error {
	for resource, limit := range map[int]int64{unix.RLIMIT_DATA: data, unix.RLIMIT_FSIZE: file} {
		l := unix.Rlimit{Cur: uint64(limit), Max: uint64(limit)}
		if err := unix.Prlimit(p.Pid(), resource, &l, nil); err != nil {
			return fmt.Errorf("limits of a process: %w", err)
		}
	}
	return nil
}
