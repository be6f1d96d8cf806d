package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// prunePolicy expires all but one of the images that prepare pushes.
const prunePolicy = `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPatternList":["old-*"],
	"countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}`

// pruning is a repository that its lifecycle policy almost empties while clients push elsewhere.
type pruning struct {
	at   *stint
	repo string
	file string // of the policy
}

// newPruning pushes the images.
func newPruning(at *stint, dir string, round, images int) (*pruning, error) {
	p := &pruning{at, at.repo("pruned", round), filepath.Join(dir, "policy.json")}
	if err := os.WriteFile(p.file, []byte(prunePolicy), 0o600); err != nil {
		return nil, err
	}
	return p, share(2*at.clients, images, func(n int) error {
		return newImage(fmt.Sprintf("old-%d", n), at.small, 1).push(at.client, p.repo, false)
	})
}

func (p *pruning) start(ctx context.Context) error {
	_, err := p.at.running.command(ctx, "lifecycle", "set", p.repo, p.file)
	return err
}

// stop stops it, and says how many images have gone.
func (p *pruning) stop(ctx context.Context) (images int, err error) {
	if _, err := p.at.running.command(ctx, "lifecycle", "remove", p.repo); err != nil {
		return 0, err
	}
	out, err := p.at.running.command(ctx, "lifecycle", "history", p.repo, "--runs", "-o", "json")
	if err != nil {
		return 0, err
	}
	var runs []struct{ Expired int }
	if err := json.Unmarshal(out, &runs); err != nil {
		return 0, err
	}
	for _, r := range runs {
		images += r.Expired
	}
	return images, nil
}
