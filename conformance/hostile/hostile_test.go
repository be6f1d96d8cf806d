package hostile

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// TestHostile scans every hostile image, and one that is not after each.
func TestHostile(t *testing.T) {
	w := start(t, "--scanner-memory", "300MiB", "--scanner-disk", "256MiB", "--scanner-time", "40s")
	w.push("good", system(t))
	w.wantGood("good")
	want := w.findings("good")
	for _, image := range hostile {
		t.Run(image.tag, func(t *testing.T) {
			w := &world{T: t, Berth: w.Berth, bin: w.bin, data: w.data, api: w.api}
			began := time.Now()
			w.push(image.tag, image.layers(t)...)
			pushed := time.Now()
			status, reason := w.await(image.tag)
			t.Logf("made and pushed in %s, ended after %s: %s %s", pushed.Sub(began).Round(time.Millisecond), time.Since(pushed).Round(time.Millisecond), status, reason)
			switch {
			case status == types.ScanStatusComplete && image.complete, status == types.ScanStatusUnsupportedImage && image.unsupported:
			case status == types.ScanStatusFailed && image.reason != "" && regexp.MustCompile(image.reason).MatchString(reason):
			default:
				t.Errorf("the scan has ended as %s: %q", status, reason)
			}
			if strings.ContainsAny(reason, "\x00\x1b\n") {
				t.Errorf("the reason has control characters: %q", reason)
			}
			after := "after-" + image.tag
			w.push(after, system(t), zipped(t, piece{files(t, "etc/after", image.tag), 1}))
			w.wantGood(after)
			if got := w.findings(after); len(got) != len(want) {
				t.Errorf("the next image has the findings %v, not %v", got, want)
			}
			w.wantNothingLeft()
		})
	}
}

func (w *world) wantGood(tag string) {
	w.Helper()
	if status, reason := w.await(tag); status != types.ScanStatusComplete {
		w.Fatalf("%s was not scanned: %s %s", tag, status, reason)
	}
	if len(w.findings(tag)) == 0 {
		w.Fatalf("nothing was found in %s", tag)
	}
}

// wantNothingLeft looks for what images have left behind. The scanner itself keeps an empty
// Java index and nothing else there.
func (w *world) wantNothingLeft() {
	w.Helper()
	for _, path := range []string{"/tmp/" + escaped, filepath.Join(w.data, escaped)} {
		if _, err := os.Lstat(path); err == nil {
			w.Errorf("an image has made %s", path)
		}
	}
	temp := filepath.Join(w.data, "scanner", "temp")
	engines, err := os.ReadDir(temp)
	w.must(err)
	if len(engines) != 1 {
		w.Errorf("there are %d folders of engines", len(engines))
	}
	var bytes int64
	var names []string
	w.must(filepath.WalkDir(temp, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			bytes += info.Size()
			names = append(names, path)
		}
		return err
	}))
	if bytes > 1<<20 || len(names) > 5 {
		w.Errorf("%d bytes are left in %v", bytes, names)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
