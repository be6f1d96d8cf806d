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
	"os/exec"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"berth/scan"
	"berth/scan/trivy/trivytest"
)

func TestName(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/aquasecurity/trivy").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "trivy " + strings.TrimPrefix(strings.TrimSpace(string(out)), "v"); scanner.Name() != want {
		t.Errorf("the scanner is %q, and the module %q", scanner.Name(), want)
	}
}

// TestOnlyNewLayersAreOpened scans an image, and then one that adds a layer to it.
func TestOnlyNewLayersAreOpened(t *testing.T) {
	use(t, trivytest.Database(t, databaseTime), trivytest.JavaIndex(t, databaseTime))
	cache := newMemory()
	base, added := gzipLayer(t, alpine...), gzipLayer(t, npm...)
	first := newTestImage(t, base)
	scanned(t, first, cache)
	second := newTestImage(t, base, added)
	_, findings := scanned(t, second, cache)
	if diff := gocmp.Diff([]digest.Digest{digest.FromBytes(added.content)}, second.opened); diff != "" {
		t.Errorf("layers opened of an image of which one was known (-want +got):\n%s", diff)
	}
	third := newTestImage(t, base, added)
	_, again := scanned(t, third, cache)
	if len(third.opened) != 0 {
		t.Errorf("%q were opened though all were known", third.opened)
	}
	_, cold := scanned(t, newTestImage(t, base, added), newMemory())
	for name, other := range map[string][]scan.Finding{"again": again, "without a cache": cold} {
		if diff := gocmp.Diff(findings, other); diff != "" || len(findings) == 0 {
			t.Errorf("findings differ %s:\n%s", name, diff)
		}
	}
}

// TestLayersOfAnyKind has the same layer twice, and one whose digest is a sha512.
func TestLayersOfAnyKind(t *testing.T) {
	use(t, trivytest.Database(t, databaseTime), trivytest.JavaIndex(t, databaseTime))
	l := gzipLayer(t, npm...)
	_, want := scanned(t, newTestImage(t, l), newMemory())
	_, twice := scanned(t, newTestImage(t, l, l), newMemory())
	if diff := gocmp.Diff(want, twice); diff != "" || len(want) == 0 {
		t.Errorf("findings differ with the same layer again:\n%s", diff)
	}

	i := newTestImage(t, l)
	d := digest.SHA512.FromBytes(l.content)
	i.blobs[d] = l.content
	i.Manifest = bytes.ReplaceAll(i.Manifest, []byte(i.layers[0]), []byte(d))
	_, got := scanned(t, i, newMemory())
	if len(got) != len(want) || got[0].Package.Layer != d {
		t.Errorf("of a layer with a sha512 there are %d findings of %d: %v", len(got), len(want), got)
	}
}

// TestCacheCannotBePoisoned scans an image whose configuration claims that a harmless layer
// unpacks to a vulnerable one, or the other way round.
func TestCacheCannotBePoisoned(t *testing.T) {
	use(t, trivytest.Database(t, databaseTime), trivytest.JavaIndex(t, databaseTime))
	harmless, bad := gzipLayer(t, file{name: "etc/alpine-release", content: "3.10.2\n"}), gzipLayer(t, npm...)
	lie := blob{harmless.mediaType, harmless.content, bad.diffID}
	cache := newMemory()
	if _, err := scanner.Inventory(t.Context(), newTestImage(t, lie).Image, cache); err == nil || !strings.Contains(err.Error(), "the configuration of the image says") {
		t.Errorf("the answer to a lie is %v", err)
	}
	if len(cache.layers) != 0 {
		t.Errorf("%d layers are kept of a lie", len(cache.layers))
	}
	if _, findings := scanned(t, newTestImage(t, bad), cache); len(findings) == 0 {
		t.Error("the vulnerable layer is clean now")
	}
	if _, err := scanner.Inventory(t.Context(), newTestImage(t, lie).Image, cache); err == nil {
		t.Error("a lie about a layer that is known is believed")
	}
	noTemporaryFiles(t)
}

// TestSpoiledCache has a cache that answers nonsense, one that has lost what it said it has,
// and one that keeps nothing.
func TestSpoiledCache(t *testing.T) {
	use(t, trivytest.Database(t, databaseTime), trivytest.JavaIndex(t, databaseTime))
	i := newTestImage(t, gzipLayer(t, alpine...), gzipLayer(t, npm...))
	good := newMemory()
	_, want := scanned(t, i, good)
	nonsense, foreign := newMemory(), newMemory()
	for key := range good.layers {
		nonsense.layers[key] = []byte(`{"SchemaVersion":`)
		foreign.layers[key] = []byte(`{"SchemaVersion":2,"DiffID":"sha256:0000"}`)
	}
	for name, cache := range map[string]scan.LayerCache{
		"nonsense": nonsense, "of another layer": foreign, "forgetful": forgetful{newMemory()}, "full": full{newMemory()},
	} {
		if _, got := scanned(t, i, cache); !slices.EqualFunc(got, want, func(a, b scan.Finding) bool { return a.Key() == b.Key() }) {
			t.Errorf("%s: %d findings, not %d", name, len(got), len(want))
		}
	}
	if _, err := scanner.Inventory(t.Context(), i.Image, away{newMemory()}); !errors.Is(err, errAway) {
		t.Errorf("the answer is %v", err)
	}
}

type forgetful struct{ *memory }

func (forgetful) Missing(context.Context, []string) ([]string, error) { return nil, nil }

type full struct{ *memory }

func (full) PutLayer(context.Context, string, []byte) error { return errors.New("full") }

var errAway = errors.New("away")

type away struct{ *memory }

func (away) Missing(context.Context, []string) ([]string, error) { return nil, errAway }

// TestArchivesAreAnalysedWithoutAnIndex has no Java index; archives that say what they are
// are found, and what was kept without the index is not used with it.
func TestArchivesAreAnalysedWithoutAnIndex(t *testing.T) {
	scanner.inventory.Lock()
	if err := scanner.withoutJava(); err != nil {
		t.Fatal(err)
	}
	scanner.inventory.Unlock()
	const jars = "pkg/fanal/analyzer/language/java/jar/testdata/"
	i := newTestImage(t, gzipLayer(t, files("github.com/aquasecurity/trivy", map[string]string{"a/test.war": jars + "test.war", "a/test.jar": jars + "test.jar"})(t)...))
	cache := newMemory()
	inventory, err := scanner.Inventory(t.Context(), i.Image, cache)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(inventory.CycloneDX, []byte("jackson-databind")) || bytes.Contains(inventory.CycloneDX, []byte("tomcat-embed-websocket@9.0.65")) {
		t.Errorf("without an index there are %d packages: %s", inventory.Packages, inventory.CycloneDX)
	}
	if err := scanner.Use(scan.Java, trivytest.JavaIndex(t, databaseTime)); err != nil {
		t.Fatal(err)
	}
	if inventory, err = scanner.Inventory(t.Context(), i.Image, cache); err != nil || !bytes.Contains(inventory.CycloneDX, []byte("tomcat-embed-websocket@9.0.65")) {
		t.Errorf("with an index there are %d packages, and %v", inventory.Packages, err)
	}
}

func TestNothingFound(t *testing.T) {
	for name, i := range map[string]*testImage{
		"no layers":      newTestImage(t),
		"an empty layer": newTestImage(t, gzipLayer(t)),
		"some file":      newTestImage(t, gzipLayer(t, file{name: "hello", content: "world"})),
	} {
		if _, err := scanner.Inventory(t.Context(), i.Image, newMemory()); !errors.Is(err, scan.ErrNothingFound) {
			t.Errorf("%s: the answer is %v", name, err)
		}
	}
}

// TestTheDocument reads an inventory as others would.
func TestTheDocument(t *testing.T) {
	i := newTestImage(t, gzipLayer(t, append(slices.Clone(debianThirdParty), npm...)...))
	inventory, err := scanner.Inventory(t.Context(), i.Image, newMemory())
	if err != nil {
		t.Fatal(err)
	}
	bom := cdx.NewBOM()
	if err := cdx.NewBOMDecoder(bytes.NewReader(inventory.CycloneDX), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		t.Fatal(err)
	}
	if bom.Metadata.Component.Name != i.Digest.String() {
		t.Errorf("the document is about %q", bom.Metadata.Component.Name)
	}
	if bytes.Contains(inventory.CycloneDX, []byte("team/app")) {
		t.Error("the document of a digest speaks of a repository")
	}
	libraries := 0
	var kept []string
	for _, c := range *bom.Components {
		if c.Type == cdx.ComponentTypeLibrary {
			libraries++
		}
		for _, p := range *c.Properties {
			if p.Name == packageProperty {
				kept = append(kept, c.Name)
			}
		}
	}
	if libraries != inventory.Packages || libraries < 8 {
		t.Errorf("there are %d packages in the document, and it is said that there are %d", libraries, inventory.Packages)
	}
	if len(kept) > 2 || !slices.Contains(kept, "docker-ce") {
		t.Errorf("Trivy reads all but these packages from its own document: %q", kept)
	}
}

func TestInventoriesThatAreNone(t *testing.T) {
	use(t, trivytest.Database(t, databaseTime), trivytest.JavaIndex(t, databaseTime))
	for _, document := range []string{``, `null`, `[]`, `"x"`, `{"bomFormat":"CycloneDX"`, `{"metadata":{"component":{"type":"container","properties":[{"name":"berth:os","value":"x"}]}}}`} {
		if findings, err := scanner.Match(t.Context(), json.RawMessage(document)); err == nil && len(findings) > 0 {
			t.Errorf("%s has the findings %v", document, findings)
		}
	}
	if _, err := scanner.Match(t.Context(), json.RawMessage(`{"bomFormat":"CycloneDX"`)); err == nil {
		t.Error("half a document has no error")
	}
}

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
