package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// askEvery is how often is asked whether an image has been scanned.
const askEvery = 10 * time.Millisecond

// newECR is the AWS SDK as a client of a registry.
func newECR(url string, key accessKey) *ecr.Client {
	return ecr.New(ecr.Options{
		BaseEndpoint: &url,
		Region:       "eu-west-1",
		HTTPClient:   http.DefaultClient,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret}, nil
		}),
	})
}

// awaitFindings waits until an image has been scanned, and returns how many findings it has.
func awaitFindings(ctx context.Context, c *ecr.Client, repo, tag string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		out, err := c.DescribeImageScanFindings(ctx, &ecr.DescribeImageScanFindingsInput{
			RepositoryName: &repo, ImageId: &types.ImageIdentifier{ImageTag: &tag}, MaxResults: aws.Int32(1),
		})
		var none *types.ScanNotFoundException
		switch {
		case errors.As(err, &none):
		case err != nil:
			return 0, err
		case out.ImageScanStatus.Status == types.ScanStatusComplete:
			n := 0
			for _, count := range out.ImageScanFindings.FindingSeverityCounts {
				n += int(count)
			}
			return n, nil
		case out.ImageScanStatus.Status != types.ScanStatusPending && out.ImageScanStatus.Status != types.ScanStatusInProgress:
			return 0, fmt.Errorf("the scan of %s:%s is %s: %s", repo, tag, out.ImageScanStatus.Status, aws.ToString(out.ImageScanStatus.Description))
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%s:%s was not scanned: %w", repo, tag, ctx.Err())
		case <-time.After(askEvery):
		}
	}
}

// scanTotals is what berth scan status tells.
type scanTotals struct {
	Statuses map[string]int
	Current  int
	Scanning int
	Waiting  int
}

func (r *running) scanTotals(ctx context.Context) (t scanTotals, err error) {
	out, err := r.command(ctx, "scan", "status", "-o", "json")
	if err == nil {
		err = json.Unmarshal(out, &t)
	}
	return t, err
}

// awaitTotals waits until enough is true, and tells the waiting user of it now and then.
func (r *running) awaitTotals(ctx context.Context, within time.Duration, enough func(scanTotals) bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for told := time.Now(); ; {
		t, err := r.scanTotals(ctx)
		if err != nil {
			return err
		}
		if enough(t) {
			return nil
		}
		if failed := t.Statuses["FAILED"]; failed > 0 {
			return fmt.Errorf("%d scans have failed; the log says why", failed)
		}
		if time.Since(told) > 20*time.Second {
			told = time.Now()
			progress("%d images scanned with the present database, %d wait", t.Current, t.Waiting+t.Scanning)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for scans: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// counted adds up the series of a metric of berth whose labels hold all the words.
func (r *running) counted(ctx context.Context, name string, words ...string) (total float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
next:
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name+"{")
		if !ok {
			continue
		}
		labels, value, ok := strings.Cut(rest, "} ")
		if !ok {
			continue
		}
		for _, w := range words {
			if !strings.Contains(labels, w) {
				continue next
			}
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		total += v
	}
	return total, lines.Err()
}

// blobReads is how often berth has opened a blob, for whomever.
func (r *running) blobReads(ctx context.Context) (float64, error) {
	asked, err := r.counted(ctx, "berth_request_seconds_count", `operation="getBlob"`)
	if err != nil {
		return 0, err
	}
	opened, err := r.counted(ctx, "berth_storage_operation_seconds_count", `operation="open"`)
	return max(asked, opened), err
}

// descendants looks at the processes that berth has started: the scanner, which starts engines.
type descendants struct {
	mu      sync.Mutex
	scanner float64 // most MiB that a scanner ever held
	engine  float64 // and an engine
}

// watch looks until ctx ends.
func (d *descendants) watch(ctx context.Context, berth int) {
	for {
		for _, scanner := range children(berth) {
			d.see(scanner, &d.scanner)
			for _, engine := range children(scanner) {
				d.see(engine, &d.engine)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// scannerCPU is the CPU time that the scanner and its engines have used so far.
func scannerCPU(berth int) (total time.Duration) {
	for _, scanner := range children(berth) {
		for _, pid := range append(children(scanner), scanner) {
			if t, err := cpuTime(pid); err == nil { // else it has just ended
				total += t
			}
		}
	}
	return total
}

func (d *descendants) see(pid int, most *float64) {
	if v, err := memory(pid, "VmHWM"); err == nil { // else it has just ended
		d.mu.Lock()
		*most = max(*most, v)
		d.mu.Unlock()
	}
}

// children are the processes that one has started.
func children(parent int) (all []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has just ended
		}
		// The parent is the second field after the command in parentheses, which may hold anything.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			all = append(all, pid)
		}
	}
	return all
}
