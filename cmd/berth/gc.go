package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"berth/registry/engine"
	"berth/storage/gc"
	"berth/storage/meta"
	"berth/storage/queue"
)

// gcCommand is about what nothing mentions any more.
type gcCommand struct {
	Run     gcRun     `cmd:"" default:"withargs" help:"Remove now what is due: blobs that nothing mentions, abandoned uploads, what jobs are to remove. A running server does so by itself."`
	Status  gcStatus  `cmd:"" help:"Say what garbage there is and what has been removed."`
	Explain gcExplain `cmd:"" help:"Say who holds a blob or an image, and when it goes."`
	Pause   gcPause   `cmd:"" help:"Keep all servers from collecting garbage until it is resumed."`
	Resume  gcResume  `cmd:"" help:"Collect garbage again."`
}

// graceFlag is a setting of the server.
type graceFlag struct {
	GCGrace time.Duration `name:"gc-grace" default:"24h" help:"How long a blob stays that nothing mentions, and a deleted image can be restored. It has to be longer than any push takes."`
}

// graceOfFlag is the same for commands, which know that of the server.
type graceOfFlag struct {
	GCGrace *time.Duration `name:"gc-grace" placeholder:"DURATION" help:"As for serve; by default that of the server that ran last."`
}

func (f graceOfFlag) grace(ctx context.Context, db *meta.DB) (time.Duration, error) {
	if f.GCGrace != nil {
		return *f.GCGrace, nil
	}
	state, err := db.GCState(ctx)
	return cmp.Or(state.Grace, gc.DefaultGrace), err
}

type gcRun struct {
	dataFlags    `embed:""`
	graceOfFlag  `embed:""`
	historyFlag  `embed:""`
	outputFlag   `embed:""`
	DryRun       bool          `help:"Only tell what would be removed."`
	UploadExpiry time.Duration `default:"24h" help:"How long an upload may have stood still."`
}

// removed is what a run removes.
type removed struct {
	Uploads []engine.Expired `json:"uploads"`
	Garbage []gc.Candidate   `json:"garbage,omitempty"` // of a dry run: what is due, the first of it
	Swept   gc.Swept         `json:"swept"`
}

func (cmd gcRun) Run(ctx context.Context, c console) error {
	db, err := cmd.openDatabase(ctx)
	if err != nil {
		return err
	}
	blobs, closeBlobs, err := cmd.openBlobs(ctx, storeOptions{})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	log := newLogger(c.err, "text", slog.LevelWarn)
	return errors.Join(cmd.run(ctx, c, db, engine.New(db, blobs, engine.Options{Logger: log}), log), closeBlobs(ctx), db.Close())
}

func (cmd gcRun) run(ctx context.Context, c console, db *meta.DB, e *engine.Engine, log *slog.Logger) error {
	gone := removed{Uploads: []engine.Expired{}}
	err := e.ExpireUploads(ctx, time.Now().Add(-cmd.UploadExpiry), cmd.DryRun, func(x engine.Expired) {
		gone.Uploads = append(gone.Uploads, x)
	})
	if err != nil {
		return err
	}
	grace, err := cmd.grace(ctx, db)
	if err != nil {
		return err
	}
	if cmd.DryRun {
		gone.Garbage, err = due(ctx, db, grace)
	} else {
		var run gc.Run
		// No grace at all is not the default of the sweeper.
		if run, err = gc.NewSweeper(db, gc.Options{Grace: max(grace, 1), TagHistory: cmd.TagHistory, Logger: log}).Sweep(ctx); err == nil {
			err = e.DoDueJobs(ctx)
		}
		gone.Swept = run.Swept
	}
	if err != nil {
		return err
	}
	var rows [][]string
	for _, x := range gone.Uploads {
		rows = append(rows, []string{"upload " + string(x.ID), string(x.Repository), formatBytes(x.Bytes), formatTime(x.IdleSince)})
	}
	for _, x := range gone.Garbage {
		rows = append(rows, []string{string(x.Digest), string(x.Repository), formatBytes(x.Size), formatTime(x.Since)})
	}
	if len(rows) > 0 || cmd.Output == "json" {
		err := cmd.print(c, gone, []string{"WHAT", "REPOSITORY", "SIZE", "SINCE"}, rows)
		if err != nil || cmd.Output == "json" {
			return err
		}
	}
	if state, err := db.GCState(ctx); err != nil || !state.PausedAt.IsZero() {
		fmt.Fprintf(c.err, "garbage collection is paused since %s; berth gc resume lets it go on\n", formatTime(state.PausedAt))
		return err
	}
	if !cmd.DryRun {
		fmt.Fprintf(c.out, "%s removed (%s)\n", count(gone.Swept.Blobs, "blob"), formatBytes(gone.Swept.Bytes))
	}
	return nil
}

// told is how many candidates are told of.
const told = 1000

// due lists what a sweep would look at first.
func due(ctx context.Context, db *meta.DB, grace time.Duration) ([]gc.Candidate, error) {
	now, err := db.Now(ctx)
	if err != nil {
		return nil, err
	}
	all, err := db.GarbageCandidates(ctx, told)
	for i, x := range all {
		if x.Since.After(now.Add(-grace)) {
			all = all[:i]
			break
		}
	}
	return all, err
}

type gcStatus struct {
	dataFlags   `embed:""`
	graceOfFlag `embed:""`
	outputFlag  `embed:""`
}

// gcReport is what status tells.
type gcReport struct {
	gc.State
	Waiting int       `json:"waiting"`         // candidates, counted to 1,000
	Oldest  time.Time `json:"oldest,omitzero"` // of them, since when
	NextAt  time.Time `json:"nextAt,omitzero"` // when it goes
	Jobs    int       `json:"jobs"`            // removals of objects that are left to be done, counted to 1,000
	Failed  int       `json:"failedJobs"`      // that were given up
}

func (cmd gcStatus) Run(ctx context.Context, c console) error {
	db, err := cmd.openDatabase(ctx)
	if err != nil {
		return err
	}
	return errors.Join(cmd.tell(ctx, c, db), db.Close())
}

func (cmd gcStatus) tell(ctx context.Context, c console, db *meta.DB) error {
	var r gcReport
	var err error
	if r.State, err = db.GCState(ctx); err != nil {
		return err
	}
	waiting, err := db.GarbageCandidates(ctx, told)
	if err != nil {
		return err
	}
	if r.Waiting = len(waiting); r.Waiting > 0 {
		r.Oldest = waiting[0].Since
		grace, err := cmd.grace(ctx, db)
		if err != nil {
			return err
		}
		r.NextAt = r.Oldest.Add(grace)
	}
	jobs, err := db.Jobs(ctx, queue.Filter{Kind: meta.DeleteObjects}, 0, told)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		var o meta.Objects
		if err := json.Unmarshal(j.Payload, &o); err != nil {
			return err
		}
		r.Jobs += len(o.Keys)
		if j.State == queue.Failed {
			r.Failed += len(o.Keys)
		}
	}
	if cmd.Output == "json" {
		return printJSON(c, r)
	}
	rows := [][]string{
		{"paused", "no"},
		{"blobs that nothing mentions", strconv.Itoa(r.Waiting)},
		{"the oldest goes at", formatTime(r.NextAt)},
		{"objects left to be removed", strconv.Itoa(r.Jobs)},
		{"of them given up", strconv.Itoa(r.Failed)},
		{"last collection", formatTime(r.Last.Ended)},
		{"removed by it", fmt.Sprintf("%d blobs, %s", r.Last.Blobs, formatBytes(r.Last.Bytes))},
		{"removed in all", fmt.Sprintf("%d blobs, %s", r.Total.Blobs, formatBytes(r.Total.Bytes))},
	}
	if !r.PausedAt.IsZero() {
		rows[0][1] = "since " + formatTime(r.PausedAt)
	}
	if r.Waiting == told {
		rows[1][1] += " or more"
	}
	for _, row := range rows {
		fmt.Fprintf(c.out, "%-28s %s\n", row[0], row[1])
	}
	return nil
}

type gcPause struct {
	dataFlags `embed:""`
}

func (cmd gcPause) Run(ctx context.Context, c console) error {
	return cmd.changeGC(ctx, c, "PauseGarbageCollection", "garbage collection is paused", func(s *gc.State) {
		if s.PausedAt.IsZero() {
			s.PausedAt = time.Now().UTC().Truncate(time.Second)
		}
	})
}

type gcResume struct {
	dataFlags `embed:""`
}

func (cmd gcResume) Run(ctx context.Context, c console) error {
	return cmd.changeGC(ctx, c, "ResumeGarbageCollection", "garbage collection goes on", func(s *gc.State) { s.PausedAt = time.Time{} })
}

func (f dataFlags) changeGC(ctx context.Context, c console, action, done string, change func(*gc.State)) error {
	audit, err := f.audit(c)
	if err != nil {
		return err
	}
	db, err := f.openDatabase(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(db.ChangeGCState(ctx, change), db.Close()); err != nil {
		return err
	}
	audit.write(ctx, "changed", []slog.Attr{slog.String("who", audit.who), slog.String("action", action)})
	_, err = fmt.Fprintln(c.out, done)
	return err
}
