//go:build goexperiment.jsonv2

package trivy

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/scan/trivy/trivytest"
)

// ecosystem is an image of one, and what has to be found in it, so that nothing is compared
// with nothing.
type ecosystem struct {
	name  string
	files func(t testing.TB) []file
	finds []string // package and vulnerability
}

func ecosystems(t testing.TB) []ecosystem {
	return []ecosystem{
		{"npm", fixed(npm), []string{"lodash CVE-2019-10744", "@scope/tool CVE-2099-0003"}},
		{"Python", fixed(python), []string{"Werkzeug CVE-2019-14806", "<b>bold</b> CVE-2099-0004"}},
		{"Ruby", fixed(ruby), []string{"activesupport CVE-2020-8165"}},
		{"Go binary", files("github.com/aquasecurity/trivy", map[string]string{
			"usr/bin/app": "pkg/fanal/analyzer/language/golang/binary/testdata/executable_gobinary",
		}), []string{"stdlib CVE-2023-24538", "golang.org/x/xerrors GO-2099-0002"}},
		{"Rust binary", files("github.com/aquasecurity/trivy", map[string]string{
			"usr/bin/app": "pkg/fanal/analyzer/language/rust/binary/testdata/executable_rust",
		}), []string{"library_crate CVE-2099-0006"}},
		{"jars", files("github.com/aquasecurity/trivy", map[string]string{
			"app/test.war": "pkg/fanal/analyzer/language/java/jar/testdata/test.war", // jars in a war, with pom.properties
			"app/test.jar": "pkg/fanal/analyzer/language/java/jar/testdata/test.jar", // known by the index alone
		}), []string{"com.fasterxml.jackson.core:jackson-databind CVE-2021-20190", "org.apache.tomcat.embed:tomcat-embed-websocket CVE-2099-0005"}},
		{"Alpine", fixed(alpine), []string{"musl CVE-2019-14697"}},
		{"Alpine with packages from edge", fixed(alpineEdge), []string{"git CVE-2022-24765"}},
		{"CentOS 7", centos, []string{"openssl-libs CVE-2018-0734"}},
		{"Ubuntu under extended support", fixed(ubuntuESM), []string{"bash CVE-2022-3715"}},
		{"Debian with packages of others", fixed(debianThirdParty), []string{"<img-src=x> CVE-2099-0001"}},
		{"Debian", func(t testing.TB) []file { return untar(t, trivytest.Debian(t)) }, []string{
			"bash CVE-2022-3715", "perl-base CVE-2023-31484", "libc6 CVE-2019-1010022", "libc-bin CVE-2019-1010022", "e2fsprogs CVE-2019-5094", "zlib1g CVE-2023-45853",
		}},
		{"packages without a system", fixed(noSystem), nil},
	}
}

func fixed(files []file) func(testing.TB) []file { return func(testing.TB) []file { return files } }

// files are files of a module, executable, under other names.
func files(module string, paths map[string]string) func(testing.TB) []file {
	return func(t testing.TB) (all []file) {
		for name, path := range paths {
			content, err := os.ReadFile(filepath.Join(trivytest.ModuleDir(t, module), filepath.FromSlash(path)))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, file{name: name, content: string(content), header: tar.Header{Mode: 0o755}})
		}
		return all
	}
}

func centos(t testing.TB) []file {
	return append(files("github.com/knqyf263/go-rpmdb", map[string]string{"var/lib/rpm/Packages": "pkg/testdata/centos7-plain/Packages"})(t),
		file{name: "etc/centos-release", content: "CentOS Linux release 7.6.1810 (Core)\n"})
}

var npm = []file{
	{name: "app/package-lock.json", content: `{"name":"app","lockfileVersion":3,"packages":{"":{"name":"app","dependencies":{"lodash":"4.17.4"}},
		"node_modules/lodash":{"version":"4.17.4"}}}`},
	{name: "app/package.json", content: `{"name":"app","version":"1.0.0","dependencies":{"lodash":"4.17.4"}}`},
	{name: "app/node_modules/lodash/package.json", content: `{"name":"lodash","version":"4.17.4","license":"MIT"}`},
	{name: "app/node_modules/jquery/package.json", content: `{"name":"jquery","version":"3.3.9","license":"MIT"}`},
	{name: "other/node_modules/jquery/package.json", content: `{"name":"jquery","version":"3.3.9","license":"MIT"}`},
	{name: "app/node_modules/@scope/tool/package.json", content: `{"name":"@scope/tool","version":"1.2.3"}`},
	{name: "app/node_modules/fixed/node_modules/lodash/package.json", content: `{"name":"lodash","version":"4.17.21"}`},
	{name: "app/node_modules/x\x01\x1b[31m<b>&é/package.json", content: `{"name":"jquery","version":"2.0.0"}`},
}

var python = []file{
	{name: "app/requirements.txt", content: "Werkzeug==0.14\n"},
	{name: "app/poetry.lock", content: "[[package]]\nname = \"werkzeug\"\nversion = \"0.14\"\ndescription = \"\"\noptional = false\npython-versions = \"*\"\n"},
	{name: "usr/lib/python3/site-packages/Werkzeug-0.14.dist-info/METADATA", content: "Metadata-Version: 2.1\nName: Werkzeug\nVersion: 0.14\nLicense: BSD\n\nText\n"},
	{name: "usr/lib/python3/site-packages/setuptools-60.0.egg-info/PKG-INFO", content: "Metadata-Version: 2.1\nName: setuptools\nVersion: 60.0\n\n"},
	{name: "usr/lib/python3/site-packages/bold-1.0.dist-info/METADATA", content: "Metadata-Version: 2.1\nName: <b>bold</b>\nVersion: 1.0\n\n"},
}

var ruby = []file{{
	name: "usr/lib/ruby/gems/specifications/activesupport-6.0.0.gemspec",
	content: `# -*- encoding: utf-8 -*-
# stub: activesupport 6.0.0 ruby lib

Gem::Specification.new do |s|
  s.name = "activesupport".freeze
  s.version = "6.0.0"
  s.licenses = ["MIT".freeze]
end
`,
}}

const apkMusl = `C:Q1dVVeDEc1PLGL9Xv3ndDfTiYxi6w=
P:musl
V:1.1.20-r4
A:x86_64
S:368204
I:598016
T:the musl c library (libc) implementation
U:http://www.musl-libc.org/
L:MIT
o:musl
m:Timo Teras <timo.teras@iki.fi>

C:Q1dVVeDEc1PLGL9Xv3ndDfTiYxi6x=
P:musl-utils
V:1.1.20-r4
A:x86_64
S:368204
I:598016
T:more of it
U:http://www.musl-libc.org/
L:MIT
o:musl

`

const apkGit = `C:Q1dVVeDEc1PLGL9Xv3ndDfTiYxi6y=
P:git
V:2.35.1-r0
A:x86_64
S:1
I:1
T:Distributed version control system
U:https://www.git-scm.com/
L:GPL-2.0-or-later
o:git

`

var (
	alpine = []file{
		{name: "etc/alpine-release", content: "3.10.2\n"},
		{name: "lib/apk/db/installed", content: apkMusl + apkGit},
	}
	alpineEdge = []file{
		{name: "etc/alpine-release", content: "3.10.2\n"},
		{name: "etc/apk/repositories", content: "http://dl-cdn.alpinelinux.org/alpine/edge/main\n"},
		{name: "lib/apk/db/installed", content: apkGit},
	}
)

// dpkg is the database of packages of Debian.
func dpkg(packages ...string) string {
	var b strings.Builder
	for _, p := range packages {
		f := strings.Fields(p) // name, version, maintainer
		b.WriteString("Package: " + f[0] + "\nStatus: install ok installed\nArchitecture: amd64\nVersion: " + f[1] + "\nMaintainer: " + f[2] + "\n\n")
	}
	return b.String()
}

var (
	ubuntuESM = []file{
		{name: "etc/lsb-release", content: "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=18.04\nDISTRIB_CODENAME=bionic\n"},
		{name: "var/lib/ubuntu-advantage/status.json", content: `{"services":[{"name":"esm-infra","status":"enabled"}]}`},
		{name: "var/lib/dpkg/status", content: dpkg("bash 4.4.18-2ubuntu1.2 ubuntu-devel-discuss@lists.ubuntu.com")},
	}
	debianThirdParty = []file{
		{name: "etc/debian_version", content: "12.5\n"},
		{name: "etc/os-release", content: "ID=debian\nVERSION_ID=\"12\"\n"},
		{name: "var/lib/dpkg/status", content: dpkg("docker-ce 5:24.0.1-1 support@docker.com", "zlib1g 1:1.2.13.dfsg-1 zlib@packages.debian.org", "<img-src=x> 1.0-1 x@debian.org")},
	}
	noSystem = []file{
		{name: "var/lib/dpkg/status", content: dpkg("bash 5.2.15-2 matthias@debian.org")},
	}
)

// untar are the entries of a tar.
func untar(t testing.TB, path string) (all []file) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		h.Format, h.PAXRecords = tar.FormatUnknown, nil
		all = append(all, file{name: h.Name, content: string(content), header: *h})
	}
}
