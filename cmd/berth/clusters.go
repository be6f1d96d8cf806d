package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"berth/registry"
	"berth/registry/engine"
)

// clusterCommand is about what runs where.
type clusterCommand struct {
	List   clusterList   `cmd:"" help:"List the clusters that have said what they run."`
	Show   clusterShow   `cmd:"" help:"List what a cluster runs."`
	Set    clusterSet    `cmd:"" help:"Say what a cluster runs, in place of what was said before."`
	Remove clusterRemove `cmd:"" help:"Forget a cluster: what it runs is kept for it no longer."`
}

type clusterList struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
}

type listedCluster struct {
	Name       string    `json:"name"`
	Images     int       `json:"images"`
	ReportedAt time.Time `json:"reportedAt,omitzero"` // of a report that was cut off there is none
}

func (cmd clusterList) Run(ctx context.Context, c console) error {
	return cmd.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		all, err := e.Clusters(ctx, "", registry.MaxClusters)
		if err != nil {
			return err
		}
		listed := []listedCluster{}
		var rows [][]string
		for _, x := range all {
			listed = append(listed, listedCluster(x))
			rows = append(rows, []string{x.Name, strconv.Itoa(x.Images), formatTime(x.ReportedAt)})
		}
		return cmd.print(c, listed, []string{"NAME", "IMAGES", "REPORTED"}, rows)
	})
}

type clusterShow struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Name       string `arg:"" help:"Name of the cluster."`
}

func (cmd clusterShow) Run(ctx context.Context, c console) error {
	return cmd.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		listed := []string{}
		var rows [][]string
		const page = 1000
		for last := (registry.ImageRef{}); ; {
			images, err := e.RunningImages(ctx, cmd.Name, last, page)
			if err != nil {
				return err
			}
			for _, r := range images {
				last = r
				listed = append(listed, r.String())
				rows = append(rows, []string{string(r.Repository), r.Digest.String()})
			}
			if len(images) < page {
				return cmd.print(c, listed, []string{"REPOSITORY", "DIGEST"}, rows)
			}
		}
	})
}

type clusterSet struct {
	dataFlags `embed:""`
	Name      string `arg:"" help:"Name of the cluster."`
	File      string `arg:"" optional:"" help:"Lines like team/app@sha256:…; standard input if it is left out."`
}

func (cmd clusterSet) Run(ctx context.Context, c console) error {
	if _, err := registry.ParseCluster(cmd.Name); err != nil {
		return err
	}
	in := c.in
	if cmd.File != "" {
		f, err := os.Open(cmd.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	var images []registry.ImageRef
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		ref, err := registry.ParseImageRef(text)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		images = append(images, ref)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return cmd.audited(ctx, c, "PutRunningImages", slog.String("cluster", cmd.Name), func(e *engine.Engine) error {
		set, err := e.SetRunning(ctx, cmd.Name, images)
		if err == nil {
			fmt.Fprintf(c.out, "cluster %s runs %d images\n", set.Name, set.Images)
		}
		return err
	})
}

type clusterRemove struct {
	dataFlags `embed:""`
	Name      string `arg:"" help:"Name of the cluster."`
}

func (cmd clusterRemove) Run(ctx context.Context, c console) error {
	return cmd.audited(ctx, c, "DeleteCluster", slog.String("cluster", cmd.Name), func(e *engine.Engine) error {
		err := e.RemoveCluster(ctx, cmd.Name)
		if err == nil {
			fmt.Fprintf(c.out, "cluster %s removed\n", cmd.Name)
		}
		return err
	})
}
