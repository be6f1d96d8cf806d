package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// scanning is a registry whose scanner is at work.
type scanning struct {
	*stint
	base   *baseSystem
	ecr    *ecr.Client
	serial int // of the next image
}

// scanRepo is the repository of the images that are scanned.
const scanRepo = "scans/image"

// scans measures how long scans take, and what others notice of them.
func scans(ctx context.Context, o options, dir string) (f figures, err error) {
	progress("a Debian, and two vulnerability databases")
	base, err := readBase(o.debian)
	if err != nil {
		return nil, err
	}
	now := time.Now().Truncate(time.Second)
	older, err := makeDatabase(ctx, filepath.Join(dir, "older"), base, now.Add(-24*time.Hour))
	if err != nil {
		return nil, err
	}
	newer, err := makeDatabase(ctx, filepath.Join(dir, "newer"), base, now)
	if err != nil {
		return nil, err
	}
	scanner, err := filepath.Abs(o.scanner)
	if err != nil {
		return nil, err
	}
	args := append([]string{"--scanner", scanner}, strings.Fields(o.berthArgs)...)
	m := mills{small: newMill(1 << 10), medium: newMill(64 << 10)}
	begun := time.Now()
	at, err := open(ctx, newBerth(o.berth, args, "", o.s3), dir, "beside", o.sizes, m, figures{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, at.close()) }()

	watched, stop := context.WithCancel(ctx)
	var d descendants
	var watching sync.WaitGroup
	watching.Go(func() { d.watch(watched, at.running.pid) })
	defer watching.Wait()
	defer stop()

	s := scanning{stint: at, base: base}
	if err := s.begin(ctx, older, begun); err != nil {
		return nil, err
	}
	for n := range o.rounds {
		progress("round %d of %d", n+1, o.rounds)
		if err := s.pushToFindings(ctx); err != nil {
			return nil, err
		}
		if err := s.beside(ctx, o.quick); err != nil {
			return nil, err
		}
	}
	if err := s.match(ctx, o.inventories, newer); err != nil {
		return nil, err
	}
	stop()
	watching.Wait()
	at.figures.add(scannerMemory, d.scanner)
	at.figures.add(scanEngineSpace, d.engine)
	at.figures.add(scanMemory, (d.scanner+d.engine)*(1<<20)/1e6)
	return at.figures, nil
}

// begin has every push be scanned, and waits until the scanner has a database and has scanned something.
func (s *scanning) begin(ctx context.Context, database string, begun time.Time) error {
	key, err := newAccessKey(ctx, s.running)
	if err != nil {
		return err
	}
	s.ecr = newECR(s.running.url, key)
	if err := s.scanOnPush(ctx, scanRepo); err != nil {
		return err
	}
	if _, err := s.running.command(ctx, "scan", "db", "import", database); err != nil {
		return err
	}
	took, _, err := s.scan(ctx, func(n int) (layer, error) { return addition(n) })
	if err != nil {
		return err
	}
	progress("the first image was scanned after %s", took.Round(time.Millisecond))
	s.figures.add(scanFirst, time.Since(begun).Seconds())
	return nil
}

// scanOnPush has what is pushed to a repository be scanned.
func (s *scanning) scanOnPush(ctx context.Context, repo string) error {
	_, err := s.ecr.PutRegistryScanningConfiguration(ctx, &ecr.PutRegistryScanningConfigurationInput{
		ScanType: types.ScanTypeBasic,
		Rules: []types.RegistryScanningRule{{
			ScanFrequency:     types.ScanFrequencyScanOnPush,
			RepositoryFilters: []types.ScanningRepositoryFilter{{Filter: aws.String(repo), FilterType: types.ScanningRepositoryFilterTypeWildcard}},
		}},
	})
	return err
}

// scan pushes an image of layers, of which the last is made by next and the others are there,
// and says how long it takes from the push of the manifest until findings can be read.
func (s *scanning) scan(ctx context.Context, next func(serial int) (layer, error), on ...layer) (took time.Duration, findings int, err error) {
	im, err := s.image(next, on...)
	if err != nil {
		return 0, 0, err
	}
	for _, b := range append([]blob{im.config}, im.layers...) {
		if err := s.client.pushBlob(scanRepo, b, true); err != nil {
			return 0, 0, err
		}
	}
	begun := time.Now()
	if _, err := s.client.pushManifest(scanRepo, im.tag, im.manifest); err != nil {
		return 0, 0, err
	}
	findings, err = awaitFindings(ctx, s.ecr, scanRepo, im.tag)
	return time.Since(begun), findings, err
}

// image makes the next image.
func (s *scanning) image(next func(serial int) (layer, error), on ...layer) (image, error) {
	s.serial++
	top, err := next(s.serial)
	if err != nil {
		return image{}, err
	}
	return stacked(fmt.Sprintf("v%d", s.serial), append(on, top)...)
}

// pushToFindings measures a Debian that no scanner has seen, and a small layer on it.
func (s *scanning) pushToFindings(ctx context.Context) error {
	var base layer
	used := scannerCPU(s.running.pid)
	took, findings, err := s.scan(ctx, func(n int) (_ layer, err error) {
		base, err = s.base.unseen(n)
		return base, err
	})
	if err != nil {
		return err
	}
	s.figures.add(scanCold, took.Seconds())
	s.figures.add(scanFindings, float64(findings))
	s.figures.add(scanColdCPU, (scannerCPU(s.running.pid) - used).Seconds())
	used = scannerCPU(s.running.pid)
	took, more, err := s.scan(ctx, addition, base)
	if err == nil && more < findings {
		err = fmt.Errorf("an image on a Debian has %d findings and the Debian %d", more, findings)
	}
	s.figures.add(scanSmall, took.Seconds())
	s.figures.add(scanSmallCPU, (scannerCPU(s.running.pid) - used).Seconds())
	return err
}

// match has images on one base be scanned, and then matched with another database.
func (s *scanning) match(ctx context.Context, images int, database string) error {
	base, err := s.base.unseen(s.serial + 1)
	if err != nil {
		return err
	}
	if _, _, err := s.scan(ctx, func(int) (layer, error) { return base, nil }); err != nil {
		return err
	}
	progress("%d images, which differ in a small layer", images)
	begun := time.Now()
	for range images {
		im, err := s.image(addition, base)
		if err != nil {
			return err
		}
		if err := im.push(s.client, scanRepo, false); err != nil {
			return err
		}
	}
	done := func(t scanTotals) bool { return t.Statuses["PENDING"]+t.Scanning+t.Waiting == 0 }
	if err := s.running.awaitTotals(ctx, 30*time.Minute, done); err != nil {
		return err
	}
	s.figures.add(scanMany, float64(images)/time.Since(begun).Seconds())

	before, err := s.running.scanTotals(ctx)
	if err != nil {
		return err
	}
	read, err := s.running.blobReads(ctx)
	if err != nil {
		return err
	}
	progress("all of them with another database")
	used := scannerCPU(s.running.pid)
	begun = time.Now()
	if _, err := s.running.command(ctx, "scan", "db", "import", database); err != nil {
		return err
	}
	err = s.running.awaitTotals(ctx, 30*time.Minute, func(t scanTotals) bool { return t.Current == before.Current && t.Scanning+t.Waiting == 0 })
	if err != nil {
		return err
	}
	// There are some more of them than images: those of the rounds.
	s.figures.add(scanMatch, time.Since(begun).Seconds())
	s.figures.add(scanMatchCPU, (scannerCPU(s.running.pid) - used).Seconds())
	s.figures.add(scanMatched, float64(before.Current))
	since, err := s.running.blobReads(ctx)
	s.figures.add(scanReads, since-read-1)
	return err
}

// scanBudgets are the lines of the table.
func scanBudgets(inventories int) []budget {
	return []budget{
		{metric: scanFirst, digits: 1},
		{metric: scanCold, digits: 2, rule: atMost(3)},
		{metric: scanSmall, digits: 2, rule: atMost(1)},
		{metric: scanColdCPU, digits: 2},
		{metric: scanSmallCPU, digits: 2},
		{metric: scanFindings},
		{metric: scanMany, digits: 1},
		{metric: scanMatched, rule: atLeast(float64(inventories))},
		{metric: scanMatch, digits: 1, rule: atMost(60)},
		{metric: scanMatchCPU, digits: 1},
		{metric: scanReads, rule: atMost(0)},
		{metric: scanIdlePush, digits: 2},
		{metric: scanBusyPush, digits: 2},
		{metric: scanSlowerPush, digits: 2, rule: atMost(1.3)},
		{metric: scanIdlePull, digits: 2},
		{metric: scanBusyPull, digits: 2},
		{metric: scanSlowerPull, digits: 2, rule: atMost(1.3)},
		{metric: scanBeside, rule: atLeast(1)},
		{metric: scannerMemory},
		{metric: scanEngineSpace},
		{metric: scanMemory, rule: atMost(600)},
	}
}
