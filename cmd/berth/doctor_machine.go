package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"berth/storage/checkup"
)

// checkMachine holds the flags against each other and against the machine.
func (cmd doctorCommand) checkMachine(ctx context.Context, checks *checkup.Checks) {
	checks.Do(ctx, "flags", func(context.Context) checkup.Finding {
		if err := cmd.check(); err != nil {
			return checkup.Bad(err.Error(), "correct the command line, the environment or the configuration file; berth config prints what results")
		}
		return checkup.Fine("they go together")
	})
	if cmd.TLSCert != "" && cmd.TLSKey != "" {
		checks.Do(ctx, "tls files", func(context.Context) checkup.Finding {
			pair, err := tls.LoadX509KeyPair(cmd.TLSCert, cmd.TLSKey)
			if err != nil {
				return checkup.Bad(err.Error(), "correct --tls-cert and --tls-key; the user who runs berth has to be able to read both")
			}
			f := checkup.Certificate(pair.Leaf, time.Now())
			f.Seen = cmd.TLSCert + ": " + f.Seen
			return f
		})
	}
	if strings.HasPrefix(cmd.storage(), "s3:") {
		checks.Do(ctx, "upload memory", func(context.Context) checkup.Finding { return uploadMemory(cmd.UploadMemory, memory("/")) })
	}
	checks.Do(ctx, "open files", func(context.Context) checkup.Finding {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return checkup.Fine("their limit is not known: %v", err)
		}
		return openFiles(cmd.MaxConnections, limit.Max) // to which Go raises the other limit
	})
}

// uploadMemory compares --upload-memory with what there is; zero is unknown.
func uploadMemory(wanted, there int64) checkup.Finding {
	seen := fmt.Sprintf("--upload-memory is %s, and this machine or container has %s", formatBytes(wanted), formatBytes(there))
	switch {
	case there == 0:
		return checkup.Fine("--upload-memory is %s", formatBytes(wanted))
	case wanted > there/2:
		return checkup.Warn(seen, fmt.Sprintf("lower --upload-memory to half of it or less, such as %d, or give it more memory", max(there/2, 64<<20)))
	}
	return checkup.Fine("%s", seen)
}

// memory is what this process may use: that of its control group or that of the
// machine, whichever is less. Zero is unknown.
func memory(root string) int64 {
	least := int64(math.MaxInt64)
	for _, name := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if b, err := os.ReadFile(root + name); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 {
				least = min(least, n)
			}
		}
	}
	if b, err := os.ReadFile(root + "proc/meminfo"); err == nil {
		var kibi int64
		if _, err := fmt.Sscanf(string(b), "MemTotal: %d kB", &kibi); err == nil {
			least = min(least, kibi<<10)
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}

// spareFiles are those that are no connections of clients: objects that are read and
// written, connections to the database and to a bucket.
const spareFiles = 1000

func openFiles(connections int, limit uint64) checkup.Finding {
	seen := fmt.Sprintf("%d may be open here, for --max-connections %d", limit, connections)
	if limit > math.MaxInt64 {
		seen = "there is no limit here"
	}
	if limit < uint64(connections)+spareFiles {
		return checkup.Warn(seen, fmt.Sprintf("raise the limit of the service to %d (LimitNOFILE= in systemd, ulimit -n in a shell), or lower --max-connections", connections+spareFiles))
	}
	return checkup.Fine("%s", seen)
}
