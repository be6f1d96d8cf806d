package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"berth/storage/queue"
)

// jobsCommand administers jobs.
type jobsCommand struct {
	List  jobsList  `cmd:"" help:"List jobs that are not done yet."`
	Retry jobsRetry `cmd:"" help:"Have a job tried again now, from its first attempt on."`
}

// withJobs calls do with the jobs of the registry.
func (f dataFlags) withJobs(ctx context.Context, do func(queue.Store) error) error {
	db, err := f.openDatabase(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.Close())
}

type jobsList struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Failed     bool `help:"Only those that were given up."`
}

type listedJob struct {
	ID          int64           `json:"id"`
	Kind        string          `json:"kind"`
	State       queue.State     `json:"state"`
	Attempts    int             `json:"attempts"`
	CreatedAt   time.Time       `json:"createdAt"`
	DueAt       *time.Time      `json:"dueAt,omitempty"`
	LeasedUntil *time.Time      `json:"leasedUntil,omitempty"`
	FailedAt    *time.Time      `json:"failedAt,omitempty"`
	Reason      string          `json:"reason,omitempty"`
	Payload     json.RawMessage `json:"payload"`
}

func newListedJob(j queue.Job) listedJob {
	l := listedJob{
		ID: j.ID, Kind: j.Kind, State: j.State, Attempts: j.Attempts, CreatedAt: j.CreatedAt, Reason: j.Reason, Payload: j.Payload,
	}
	switch j.State {
	case queue.Waiting:
		l.DueAt = &j.DueAt
	case queue.Leased:
		l.LeasedUntil = &j.DueAt
	case queue.Failed:
		l.FailedAt = &j.DueAt
	}
	return l
}

func (cmd jobsList) Run(ctx context.Context, c console) error {
	return cmd.withJobs(ctx, func(s queue.Store) error {
		var filter queue.Filter
		if cmd.Failed {
			filter.State = queue.Failed
		}
		listed := []listedJob{}
		var rows [][]string
		const page = 1000
		for last := int64(0); ; {
			jobs, err := s.Jobs(ctx, filter, last, page)
			if err != nil {
				return err
			}
			for _, j := range jobs {
				last = j.ID
				listed = append(listed, newListedJob(j))
				rows = append(rows, []string{
					strconv.FormatInt(j.ID, 10), j.Kind, string(j.State), formatTime(j.DueAt), strconv.Itoa(j.Attempts), strconv.Quote(j.Reason),
				})
			}
			if len(jobs) < page {
				break
			}
		}
		return cmd.print(c, listed, []string{"ID", "KIND", "STATE", "SINCE OR UNTIL", "ATTEMPTS", "REASON"}, rows)
	})
}

type jobsRetry struct {
	dataFlags `embed:""`
	ID        int64 `arg:"" optional:"" help:"Number of the job."`
	All       bool  `help:"All that were given up."`
}

func (cmd jobsRetry) Run(ctx context.Context, c console) error {
	if (cmd.ID == 0) != cmd.All {
		return errors.New("give the number of a job, or --all")
	}
	return cmd.withJobs(ctx, func(s queue.Store) error {
		if cmd.All {
			n, err := s.RequeueFailedJobs(ctx)
			fmt.Fprintf(c.out, "%d jobs are tried again\n", n)
			return err
		}
		if err := s.RequeueJob(ctx, cmd.ID); err != nil {
			return fmt.Errorf("job %d: %w", cmd.ID, err)
		}
		_, err := fmt.Fprintf(c.out, "job %d is tried again\n", cmd.ID)
		return err
	})
}
