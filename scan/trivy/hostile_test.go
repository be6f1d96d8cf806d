//go:build goexperiment.jsonv2

package trivy

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"berth/scan"
	"berth/scan/trivy/trivytest"
)

// hostile are images that are not what they should be, with what the answer has to say;
// empty: an inventory, or that there is nothing.
func hostile(t *testing.T) map[string]struct {
	image *testImage
	want  string
} {
	t.Helper()
	type c = struct {
		image *testImage
		want  string
	}
	plain := archive(t, npm...)
	cut := gzipLayer(t, npm...)
	cut.content = cut.content[:len(cut.content)/2]
	damaged := gzipLayer(t, npm...)
	damaged.content = bytes.Clone(damaged.content)
	damaged.content[len(damaged.content)/2] ^= 0xff
	half := gzipBlob(t, plain[:len(plain)/2+100])
	otherBytes := newTestImage(t, gzipLayer(t, npm...))
	otherBytes.blobs[otherBytes.layers[0]] = gzipped(t, append(slices.Clone(plain), make([]byte, 512)...))
	trailing := gzipLayer(t, npm...)
	trailing.content = append(trailing.content, "not gzip"...)
	notThere := newTestImage(t, gzipLayer(t, npm...))
	delete(notThere.blobs, notThere.layers[0])
	noConfig := newTestImage(t, gzipLayer(t, npm...))
	for d, content := range noConfig.blobs {
		if bytes.Contains(content, []byte("rootfs")) {
			noConfig.blobs[d] = []byte("{}")
		}
	}
	noLayers := newTestImage(t, gzipLayer(t, npm...))
	noLayers.Manifest = []byte(strings.Replace(string(noLayers.Manifest), `"layers":[`, `"others":[`, 1))

	rpm := files("github.com/knqyf263/go-rpmdb", map[string]string{"var/lib/rpm/Packages": "pkg/testdata/centos7-plain/Packages"})(t)
	spoiled := []byte(rpm[0].content)
	for n := 5000; n < len(spoiled); n += 7 {
		spoiled[n] ^= 0x55
	}
	centos := file{name: "etc/centos-release", content: "CentOS Linux release 7.6.1810 (Core)\n"}

	return map[string]c{
		"gzip that ends":           {newTestImage(t, cut), "cannot be unpacked"},
		"gzip that is damaged":     {newTestImage(t, damaged), "cannot be unpacked"},
		"gzip and something more":  {newTestImage(t, trailing), "cannot be unpacked"},
		"a tar that ends":          {newTestImage(t, half), "unexpected EOF"},
		"zstd that is none":        {newTestImage(t, blob{ocispec.MediaTypeImageLayerZstd, []byte("\x28\xb5\x2f\xfd nothing"), "sha256:" + digest.Digest(strings.Repeat("0", 64))}), "cannot be unpacked"},
		"gzip that is none":        {newTestImage(t, blob{ocispec.MediaTypeImageLayerGzip, []byte("\x1f\x8b nothing"), "sha256:" + digest.Digest(strings.Repeat("0", 64))}), "it is not gzip"},
		"bytes of another digest":  {otherBytes, "has the digest"},
		"a layer that is missing":  {notThere, "there is no blob"},
		"another configuration":    {noConfig, "is not what its digest says"},
		"fewer layers than said":   {noLayers, "the image has 0 layers, and its configuration speaks of 1"},
		"not a tar":                {newTestImage(t, gzipBlob(t, bytes.Repeat([]byte("x"), 10000))), "invalid tar header"},
		"a damaged rpm database":   {newTestImage(t, gzipLayer(t, centos, file{name: "var/lib/rpm/Packages", content: string(spoiled)})), ""},
		"an rpm database of zeros": {newTestImage(t, gzipLayer(t, centos, file{name: "var/lib/rpm/rpmdb.sqlite", content: string(make([]byte, 100000))})), ""},
		"a damaged sqlite database": {newTestImage(t, gzipLayer(t, centos, file{
			name: "var/lib/rpm/rpmdb.sqlite", content: "SQLite format 3\x00" + strings.Repeat("\xff", 100000),
		})), ""},
		"a damaged dpkg database": {newTestImage(t, gzipLayer(t, file{name: "etc/debian_version", content: "12.5\n"},
			file{name: "var/lib/dpkg/status", content: dpkg("bash 1-1 x") + strings.Repeat("\x00\xff", 5000) + "\nVersion\n\n"})), ""},
		"a jar in a jar in a jar": {newTestImage(t, gzipLayer(t, file{name: "a.jar", content: jars(t, 30)})), ""},
		"paths that lead out": {newTestImage(t, gzipLayer(t,
			file{name: "../../../../../../tmp/escaped/node_modules/lodash/package.json", content: `{"name":"lodash","version":"4.17.4"}`},
			file{name: "/../../../../var/lib/dpkg/status", content: dpkg("bash 1-1 x")},
			file{name: "app/../../../../../../../tmp/escaped/a.jar", content: jars(t, 1)},
			file{name: "link", header: tar.Header{Typeflag: tar.TypeSymlink, Linkname: "/tmp"}},
			file{name: "link/escaped/test.gemspec", content: ruby[0].content},
			file{name: "hard", header: tar.Header{Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}},
			file{name: "../.wh.x"}, file{name: ".wh..."}, file{name: ".wh."}, file{name: "..", header: tar.Header{Typeflag: tar.TypeDir}},
			file{name: "dev/sda", header: tar.Header{Typeflag: tar.TypeBlock}}, file{name: "fifo", header: tar.Header{Typeflag: tar.TypeFifo}},
		)), ""},
		"names of any bytes": {newTestImage(t, gzipLayer(t,
			file{name: "a\xff\xfe\x80/node_modules/x/package.json", content: `{"name":"lodash","version":"4.17.4"}`},
			file{name: "b\n\r\t\x01c/node_modules/x/package.json", content: `{"name":"lodash","version":"4.17.5"}`},
			file{name: "<script>/node_modules/x/package.json", content: `{"name":"lodash","version":"4.17.6"}`})), ""},
		"a layer of zeros": {newTestImage(t, gzipBlob(t, make([]byte, 64<<20))), "nothing"},
	}
}

func TestHostileImages(t *testing.T) {
	use(t, trivytest.Database(t, databaseTime), trivytest.JavaIndex(t, databaseTime))
	for name, test := range hostile(t) {
		t.Run(name, func(t *testing.T) {
			cache := newMemory()
			inventory, err := scanner.Inventory(t.Context(), test.image.Image, cache)
			switch {
			case test.want == "nothing":
				if !errors.Is(err, scan.ErrNothingFound) {
					t.Errorf("the answer is %v", err)
				}
			case test.want != "":
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("the answer is %v, not one with %q", err, test.want)
				}
				if len(cache.layers) != 0 {
					t.Error("what was found is kept")
				}
			case err == nil:
				if !json.Valid(inventory.CycloneDX) {
					t.Errorf("the inventory is not JSON: %q", inventory.CycloneDX)
				}
				if _, err := scanner.Match(t.Context(), inventory.CycloneDX); err != nil {
					t.Errorf("the inventory cannot be matched: %v", err)
				}
			default:
				t.Logf("the answer is %v", err)
			}
			noTemporaryFiles(t)
			if _, err := os.Lstat("/tmp/escaped"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is something outside of the folder: %v", err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	many := make([]file, 2000)
	for n := range many {
		many[n] = file{name: strings.Repeat("x", n%50+1)}
	}
	for _, test := range []struct {
		name           string
		bytes, entries int64
		layers         []blob
		want           string
	}{
		{"bytes", 10 << 20, 1000, []blob{gzipBlob(t, make([]byte, 6<<20)), gzipBlob(t, make([]byte, 7<<20))}, "the layers of the image unpack to more than 10.0 MiB"},
		{"bytes in zstd", 10 << 20, 1000, []blob{{ocispec.MediaTypeImageLayerZstd, zstandard(t, make([]byte, 200<<20)), "sha256:" + digest.Digest(strings.Repeat("0", 64))}}, "the layers of the image unpack to more than 10.0 MiB"},
		{"entries", 100 << 20, 1000, []blob{gzipLayer(t, many[:900]...), gzipLayer(t, many[:901]...)}, "the layers of the image have more than 1000 files, folders and links"},
	} {
		t.Run(test.name, func(t *testing.T) {
			limit(t, test.bytes, test.entries)
			_, err := scanner.Inventory(t.Context(), newTestImage(t, test.layers...).Image, newMemory())
			if err == nil || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("the answer is %v, not %q", err, test.want)
			}
			noTemporaryFiles(t)
		})
	}
	t.Run("not reached", func(t *testing.T) {
		limit(t, 100<<20, 2000)
		if _, err := scanner.Inventory(t.Context(), newTestImage(t, gzipLayer(t, many...)).Image, newMemory()); !errors.Is(err, scan.ErrNothingFound) {
			t.Errorf("the answer is %v", err)
		}
	})
}

func TestCancel(t *testing.T) {
	i := newTestImage(t, gzipLayer(t, npm...))
	ctx, cancel := context.WithCancel(t.Context())
	open := i.Open
	i.Image.Open = func(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
		if slices.Contains(i.layers, d) {
			cancel()
		}
		return open(ctx, d)
	}
	if _, err := scanner.Inventory(ctx, i.Image, newMemory()); !errors.Is(err, context.Canceled) {
		t.Errorf("the answer is %v", err)
	}
	noTemporaryFiles(t)
}

// jars is an archive of Java in an archive of Java, and so on.
func jars(t testing.TB, depth int) string {
	t.Helper()
	content := ""
	for range depth {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for name, text := range map[string]string{"META-INF/MANIFEST.MF": "Implementation-Title: x\nImplementation-Version: 1\n", "in.jar": content} {
			f, err := w.Create(name)
			if err == nil {
				_, err = io.WriteString(f, text)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		content = b.String()
	}
	return content
}
