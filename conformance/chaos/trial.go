package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/conformance/internal/audit"
)

var repositories = []string{"team0/app", "team1/app"}

const (
	calm      = 700 * time.Millisecond // before the fault
	maxAfter  = 40 * time.Second       // after it, for what is under way
	mostTold  = 12                     // violations of one scenario
	popularly = 6                      // blobs that everybody pushes
)

// trial is one run of a scenario.
type trial struct {
	scenario
	options options
	dir     string
	seed    uint64
	world   *world
	popular []blob

	mu         sync.Mutex
	images     []image
	blobs      []stored
	have       map[stored]bool
	statuses   map[int]int // 0: broke off
	times      []time.Duration
	violations []error
	more       int

	fsck    audit.Report
	expired int
}

// stored is a blob that was acknowledged.
type stored struct {
	repo   string
	digest digest.Digest
}

func (t *trial) acknowledge(x image) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.images = append(t.images, x)
}

func (t *trial) acknowledgeBlob(repo string, b blob) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := (stored{repo, b.digest}); !t.have[s] {
		t.have[s] = true
		t.blobs = append(t.blobs, s)
	}
}

// some is an image that was acknowledged.
func (t *trial) some(rng *rand.Rand) (image, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.images) == 0 {
		return image{}, false
	}
	return t.images[rng.IntN(len(t.images))], true
}

func (t *trial) count(a answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.err != nil {
		a.status = 0
	}
	t.statuses[a.status]++
	t.times = append(t.times, a.took)
}

func (t *trial) violation(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.violations) == mostTold {
		t.more++
		return
	}
	now := time.Now().UTC().Format("15:04:05.000 ")
	t.violations = append(t.violations, fmt.Errorf("violation: "+now+format, args...))
}

// run runs the scenario and looks at what it leaves.
func (t *trial) run(ctx context.Context) (err error) {
	t.have, t.statuses = map[stored]bool{}, map[int]int{}
	if t.options.quick {
		t.lasts = t.lasts * 2 / 5
	}
	if err := os.Mkdir(t.dir, 0o755); err != nil {
		return err
	}
	if t.world, err = startWorld(ctx, t.dir, t.options.berth, t.scenario); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.world.stop()) }()
	if err := t.suffer(ctx); err != nil {
		return err
	}
	newClient(t, 1000).check(ctx)
	if err := t.inspect(ctx); err != nil {
		t.violation("%w", err)
	}
	if t.more > 0 {
		t.violations = append(t.violations, fmt.Errorf("and %d more", t.more))
	}
	return errors.Join(t.violations...)
}

// suffer has clients work before, during and after the fault.
func (t *trial) suffer(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(t.seed, 1<<40))
	for range popularly {
		t.popular = append(t.popular, randomBlob(rng, t.small))
	}
	if t.clients == 0 {
		t.clients = 6
	}
	over := make(chan struct{})
	patience, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	for i := range t.clients {
		c := newClient(t, i)
		if i%2 == 1 {
			if err := c.login(); err != nil {
				return err
			}
		}
		work.Go(func() { c.work(patience, over) })
	}
	err := sleep(ctx, calm)
	if err == nil {
		err = t.strike(ctx)
	}
	if err == nil {
		t.wellAgain(ctx)
	}
	close(over)
	time.AfterFunc(maxAfter, cancel)
	work.Wait()
	return err
}

// strike is the fault, from its beginning to its end.
func (t *trial) strike(ctx context.Context) error {
	end, err := t.fault(ctx, t.world)
	if err != nil {
		return err
	}
	err = sleep(ctx, t.lasts)
	return errors.Join(err, end(context.WithoutCancel(ctx)))
}

// work pushes and pulls until the trial is over, and ends what is under way then.
func (c *client) work(patience context.Context, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-time.After(time.Duration(c.rng.IntN(60)) * time.Millisecond):
		}
		if x, ok := c.some(c.rng); ok && c.rng.IntN(3) == 0 {
			c.pullImage(x)
			continue
		}
		c.serial++
		repo := repositories[c.rng.IntN(len(repositories))]
		x, err := newImage(c.rng, repo, fmt.Sprintf("c%d-%d", c.id, c.serial), c.small, c.popular)
		if err == nil {
			err = c.pushImage(patience, x)
		}
		if err != nil {
			c.violation("client %d: %w", c.id, err)
			return
		}
	}
}

// wellAgain pushes and pulls at each replica, without a second try.
func (t *trial) wellAgain(ctx context.Context) {
	for i := range t.world.Replicas {
		c := newClient(t, 2000+i)
		c.only = i
		x, err := newImage(c.rng, repositories[0], fmt.Sprintf("well-%d", i), false, nil)
		if err != nil {
			t.violation("%w", err)
			return
		}
		c.strict = true
		if err := c.pushImage(ctx, x); err != nil {
			t.violation("the fault is over, but at replica %d: %w", i, err)
		} else if !c.pullImage(x) {
			t.violation("the fault is over, but %s cannot be pulled from replica %d", x, i)
		}
	}
}

// inspect looks at what is left when the replicas have ended.
func (t *trial) inspect(ctx context.Context) (err error) {
	if err := t.world.stopReplicas(); err != nil {
		return err
	}
	if _, err := t.world.data.Fsck(ctx); err != nil {
		return err
	}
	if t.expired, err = t.world.data.Expire(ctx); err != nil {
		return err
	}
	if t.fsck, err = t.world.data.Fsck(ctx); err != nil {
		return err
	}
	_, err = t.world.data.Swept(t.fsck)
	return err
}

// quantile is the time within which a share of the requests was answered.
func (t *trial) quantile(share float64) time.Duration {
	if len(t.times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t.times))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
