package hostile

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// hostileImage is an image, and the ways in which its scan may end.
type hostileImage struct {
	tag    string
	layers func(t *testing.T) []layer

	// reason is a regular expression for the reason of a scan that has failed, and empty if
	// it must not fail. complete says that it may succeed; unsupported, that nothing may be
	// found to look at.
	reason                string
	complete, unsupported bool
}

const osRelease = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n"

// status is a dpkg database of packages that the database of fixtures knows something about.
const status = `Package: bash
Status: install ok installed
Architecture: amd64
Maintainer: nobody <nobody@example.com>
Version: 5.2.15-2+b2

Package: perl-base
Status: install ok installed
Architecture: amd64
Maintainer: nobody <nobody@example.com>
Source: perl
Version: 5.36.0-7
`

// system is a layer with an operating system that can be scanned.
func system(t *testing.T) layer {
	return zipped(t, piece{files(t, "etc/debian_version", "12.5\n", "etc/os-release", osRelease, "var/lib/dpkg/status", status), 1})
}

// one wraps a layer that needs no others.
func one(l func(t *testing.T) layer) func(t *testing.T) []layer {
	return func(t *testing.T) []layer { return []layer{l(t)} }
}

// onSystem puts a layer on an operating system.
func onSystem(l func(t *testing.T) layer) func(t *testing.T) []layer {
	return func(t *testing.T) []layer { return []layer{system(t), l(t)} }
}

// zeros are many; they compress to a thousandth.
var zeros = make([]byte, 32<<20)

// huge is the head of a file of so many bytes; its content follows.
func huge(t *testing.T, name string, size int64) []byte {
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tooMuch are the reasons of what takes more than it may.
const tooMuch = `took more than|needed more than|unpack to more than|more than [0-9,]+ `

// hostile are the images, one after the other.
var hostile = []hostileImage{
	{tag: "ten-million-files", reason: tooMuch, layers: one(func(t *testing.T) layer {
		headers := make([]tar.Header, 50_000)
		for n := range headers {
			headers[n].Name = fmt.Sprintf("tiny/%d", n)
		}
		return zipped(t, piece{open(entries(t, headers)), 200}, piece{make([]byte, 1024), 1})
	})},
	{tag: "many-packages", reason: tooMuch, complete: true, layers: onSystem(func(t *testing.T) layer {
		var pairs []string
		for n := range 100_000 {
			pairs = append(pairs, fmt.Sprintf("app/node_modules/m%d/package.json", n), fmt.Sprintf(`{"name":"m%d","version":"1.0.0"}`, n))
		}
		return zipped(t, piece{files(t, pairs...), 1})
	})},
	{tag: "five-gigabytes-of-zeros", reason: tooMuch, complete: true, layers: onSystem(func(t *testing.T) layer {
		return zipped(t, piece{huge(t, "zeros", 160*int64(len(zeros))), 1}, piece{zeros, 160}, piece{make([]byte, 1024), 1})
	})},
	{tag: "gigabytes-of-a-package-file", reason: tooMuch, layers: onSystem(func(t *testing.T) layer {
		return zipped(t, piece{huge(t, "var/lib/dpkg/status", 40*int64(len(zeros))), 1}, piece{zeros, 40}, piece{make([]byte, 1024), 1})
	})},
	{tag: "zstd-bomb", reason: tooMuch, layers: one(func(t *testing.T) layer {
		return zstandard(t, piece{huge(t, "zeros", 1<<20*int64(len(zeros))), 1}, piece{zeros, 10_000})
	})},
	{tag: "broken-gzip", reason: `cannot be unpacked|unexpected EOF`, layers: one(func(t *testing.T) layer {
		b := zippedBytes(t, files(t, "etc/os-release", osRelease, "app/text", strings.Repeat("some text ", 10_000)))
		return plain(t, typeGzip, b[:len(b)/2], digestOf(nil))
	})},
	{tag: "gzip-in-name-only", reason: `.`, layers: one(func(t *testing.T) layer {
		return plain(t, typeGzip, append([]byte{0x1f, 0x8b}, "and nothing of gzip behind it"...), digestOf(nil))
	})},
	{tag: "lying-media-type", complete: true, layers: one(func(t *testing.T) layer {
		l := system(t)
		l.media = typeZstd
		return l
	})},
	{tag: "lying-diff-id", reason: `configuration of the image says`, layers: one(func(t *testing.T) layer {
		l := system(t)
		l.diffID = digestOf([]byte("another layer"))
		return l
	})},
	{tag: "jars-in-jars", complete: true, reason: tooMuch, layers: onSystem(func(t *testing.T) layer {
		b := jar(t, 3, "META-INF/maven/org.example/x/pom.properties", []byte("groupId=org.example\nartifactId=x\nversion=1.0\n"))
		return zipped(t, piece{files(t, "app/nested.jar", string(b)), 1})
	})},
	{tag: "jar-bomb", complete: true, reason: tooMuch, layers: onSystem(func(t *testing.T) layer {
		b := jar(t, 3, "big.jar", bytes.Repeat(zeros, 20))
		return zipped(t, piece{files(t, "app/bomb.jar", string(b)), 1})
	})},
	{tag: "escapes", complete: true, unsupported: true, reason: `.`, layers: onSystem(func(t *testing.T) layer {
		return zipped(t, piece{entries(t, []tar.Header{
			{Name: "../../../../../../../../tmp/" + escaped},
			{Name: "/tmp/" + escaped},
			{Name: "app/../../../../../../tmp/" + escaped + "/package.json"},
			{Name: "out", Typeflag: tar.TypeSymlink, Linkname: "/tmp"},
			{Name: "out/" + escaped},
			{Name: "etc/lsb-release", Typeflag: tar.TypeSymlink, Linkname: "../../../../../../../etc/shadow"},
			{Name: "var/lib/dpkg/status.d/x", Typeflag: tar.TypeLink, Linkname: "../../../../../../etc/passwd"},
			{Name: "loop", Typeflag: tar.TypeSymlink, Linkname: "loop"},
			{Name: "app/a\x01b\nc\x1b[31m/package.json"},
		}, []byte("x"), []byte("x"), []byte(`{"name":"up","version":"1"}`), nil, []byte("x"), nil, nil, nil, []byte(`{"name":"<script>","version":"1"}`)), 1})
	})},
	{tag: "devices", complete: true, unsupported: true, reason: `.`, layers: onSystem(func(t *testing.T) layer {
		return zipped(t, piece{entries(t, []tar.Header{
			{Name: "etc/lsb-release", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5},
			{Name: "var/lib/rpm/Packages", Typeflag: tar.TypeBlock, Devmajor: 8},
			{Name: "lib/apk/db/installed", Typeflag: tar.TypeFifo},
			{Name: "app/package.json", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 9},
		}), 1})
	})},
	{tag: "damaged-databases", complete: true, reason: `.`, layers: one(func(t *testing.T) layer {
		return zipped(t, piece{files(t, "etc/debian_version", "12.5\n",
			"var/lib/dpkg/status", "Package: bash\nVersion\x00: 1\n\n\n:::\nPackage:\n"+strings.Repeat("Depends: a, ", 100_000),
			"var/lib/rpm/rpmdb.sqlite", "SQLite format 3\x00"+strings.Repeat("\xff\x00", 10_000),
			"var/lib/rpm/Packages", strings.Repeat("\x61\x15\x06\x00", 10_000),
		), 1})
	})},
}

// escaped is the name of a file that must not come to be in /tmp.
const escaped = "berth-hostile-escaped"

// zippedBytes is b compressed by gzip.
func zippedBytes(t *testing.T, b []byte) []byte {
	l := zipped(t, piece{b, 1})
	return read(t, l.path)
}
