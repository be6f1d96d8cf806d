package scan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/scan"
)

var (
	now    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	image  = digest.FromString("image")
	index  = digest.FromString("index")
	secret = scan.Finding{ID: "CVE-2024-1", Aliases: []string{"GHSA-aaaa-bbbb-cccc"}, Severity: scan.High, Package: scan.Package{
		Name: "openssl", Type: "debian", PURL: "pkg:deb/debian/openssl@3.0.11-1?arch=amd64&distro=debian-12.5",
	}, Installed: "3.0.11-1"}
)

func TestExceptions(t *testing.T) {
	for _, test := range []struct {
		name      string
		exception scan.Exception
		out       bool
	}{
		{"by its name", scan.Exception{Vulnerability: "CVE-2024-1", Repository: "*"}, true},
		{"of another vulnerability", scan.Exception{Vulnerability: "CVE-2024-12", Repository: "*"}, false},
		{"in lower case", scan.Exception{Vulnerability: "cve-2024-1", Repository: "*"}, true},
		{"by what a vendor calls it", scan.Exception{Vulnerability: "ghsa-AAAA-*", Repository: "*"}, true},
		{"of all", scan.Exception{Vulnerability: "*", Repository: "*"}, true},
		{"of a package", scan.Exception{Vulnerability: "*", Package: "open*", Repository: "*"}, true},
		{"of another package", scan.Exception{Vulnerability: "*", Package: "libssl3", Repository: "*"}, false},
		{"in a repository", scan.Exception{Vulnerability: "*", Repository: "team/app"}, true},
		{"in repositories", scan.Exception{Vulnerability: "*", Repository: "team/*"}, true},
		{"in another repository", scan.Exception{Vulnerability: "*", Repository: "team"}, false},
		{"that expires", scan.Exception{Vulnerability: "*", Repository: "*", ExpiresAt: now.Add(time.Second)}, true},
		{"that has expired", scan.Exception{Vulnerability: "*", Repository: "*", ExpiresAt: now}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := scan.Exclusions{Repository: "team/app", Digest: image, Exceptions: []scan.Exception{test.exception}}
			left, out, until := x.Apply([]scan.Finding{secret}, now)
			if (len(out) == 1) != test.out || len(left)+len(out) != 1 {
				t.Errorf("%d are left and %d are out", len(left), len(out))
			}
			if test.out && !until.Equal(test.exception.ExpiresAt) {
				t.Errorf("it holds until %v; want %v", until, test.exception.ExpiresAt)
			}
		})
	}
}

// TestLongestExceptionCounts says until when a finding is out for which there are two.
func TestLongestExceptionCounts(t *testing.T) {
	for _, test := range []struct{ first, second, want time.Time }{
		{now.Add(time.Hour), now.Add(2 * time.Hour), now.Add(2 * time.Hour)},
		{now.Add(2 * time.Hour), now.Add(time.Hour), now.Add(2 * time.Hour)},
		{now.Add(time.Hour), time.Time{}, time.Time{}},
		{time.Time{}, now.Add(time.Hour), time.Time{}},
	} {
		x := scan.Exclusions{Repository: "a", Digest: image, Exceptions: []scan.Exception{
			{Vulnerability: "*", Repository: "*", ExpiresAt: test.first}, {Vulnerability: "*", Repository: "*", ExpiresAt: test.second},
		}}
		if _, out, until := x.Apply([]scan.Finding{secret}, now); !until.Equal(test.want) || !out[0].Until.Equal(test.want) {
			t.Errorf("%v and %v: until %v; want %v", test.first, test.second, until, test.want)
		}
	}
}

func TestValidateException(t *testing.T) {
	good := scan.Exception{Vulnerability: "CVE-2024-1", Repository: "team/*", Reason: "not reachable", Author: "ann"}
	if err := good.Validate(now); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*scan.Exception){
		"is for a vulnerability": func(x *scan.Exception) { x.Vulnerability = "" },
		"has a reason":           func(x *scan.Exception) { x.Reason = " " },
		"expired":                func(x *scan.Exception) { x.ExpiresAt = now },
		"cannot be shown":        func(x *scan.Exception) { x.Reason = "a\x1b[2J" },
		"no repository is":       func(x *scan.Exception) { x.Repository = "Team" },
		"* is all of them":       func(x *scan.Exception) { x.Repository = "" },
		"at most 300":            func(x *scan.Exception) { x.Package = strings.Repeat("a", 301) },
	} {
		bad := good
		change(&bad)
		if err := bad.Validate(now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q in it", err, want)
		}
	}
}

func TestVEXStatements(t *testing.T) {
	said := func(status scan.VEXStatus, names ...string) scan.VEXStatement {
		return scan.VEXStatement{Vulnerabilities: []string{"CVE-2024-1"}, Status: status, Products: []scan.VEXProduct{{Names: names}}}
	}
	inside := func(product string, packages ...string) scan.VEXStatement {
		return scan.VEXStatement{
			Vulnerabilities: []string{"ghsa-aaaa-bbbb-cccc"}, Status: scan.VEXNotAffected,
			Products: []scan.VEXProduct{{Names: []string{product}, Subcomponents: packages}},
		}
	}
	at := func(s scan.VEXStatement, day int) scan.VEXStatement {
		s.At = now.AddDate(0, 0, day)
		return s
	}
	thisImage := "pkg:oci/app@" + strings.Replace(image.String(), ":", "%3A", 1)
	for _, test := range []struct {
		name       string
		statements []scan.VEXStatement
		out        bool
	}{
		{"the image by its digest", []scan.VEXStatement{said(scan.VEXNotAffected, thisImage)}, true},
		{"fixed", []scan.VEXStatement{said(scan.VEXFixed, thisImage)}, true},
		{"affected", []scan.VEXStatement{said(scan.VEXAffected, thisImage)}, false},
		{"under investigation", []scan.VEXStatement{said(scan.VEXUnderInvestigation, thisImage)}, false},
		{"qualifiers of the image", []scan.VEXStatement{said(scan.VEXFixed, thisImage+"?repository_url=other.example/x&tag=v1&arch=amd64")}, true},
		{"an index that lists it", []scan.VEXStatement{said(scan.VEXFixed, "pkg:oci/app@"+index.String())}, true},
		{"a reference", []scan.VEXStatement{said(scan.VEXFixed, "registry.example/team/app@"+image.String())}, true},
		{"a digest", []scan.VEXStatement{said(scan.VEXFixed, image.String())}, true},
		{"another image", []scan.VEXStatement{said(scan.VEXFixed, "pkg:oci/app@"+digest.FromString("x").String())}, false},
		{"its name", []scan.VEXStatement{said(scan.VEXFixed, "pkg:oci/app")}, true},
		{"its name and place", []scan.VEXStatement{said(scan.VEXFixed, "pkg:oci/app?repository_url=registry.example/team/app")}, true},
		{"its name in another place", []scan.VEXStatement{said(scan.VEXFixed, "pkg:oci/app?repository_url=registry.example/other/app")}, false},
		{"another name", []scan.VEXStatement{said(scan.VEXFixed, "pkg:oci/other")}, false},
		{"a package of the image", []scan.VEXStatement{inside(thisImage, "pkg:deb/debian/openssl")}, true},
		{"a version of it", []scan.VEXStatement{inside(thisImage, "pkg:deb/debian/openssl@3.0.11-1")}, true},
		{"another version of it", []scan.VEXStatement{inside(thisImage, "pkg:deb/debian/openssl@3.0.12-1")}, false},
		{"its qualifiers", []scan.VEXStatement{inside(thisImage, "pkg:deb/debian/openssl?distro=debian-12.5")}, true},
		{"other qualifiers", []scan.VEXStatement{inside(thisImage, "pkg:deb/debian/openssl?distro=debian-11")}, false},
		{"another package", []scan.VEXStatement{inside(thisImage, "pkg:deb/debian/libssl3")}, false},
		{"a package of another kind", []scan.VEXStatement{inside(thisImage, "pkg:deb/ubuntu/openssl")}, false},
		{"one of several packages", []scan.VEXStatement{inside(thisImage, "pkg:npm/a", "pkg:deb/debian/openssl")}, true},
		{"a package of another image", []scan.VEXStatement{inside("pkg:oci/other", "pkg:deb/debian/openssl")}, false},
		{"what cannot be read", []scan.VEXStatement{inside(thisImage, "openssl")}, false},
		{"a package by itself", []scan.VEXStatement{said(scan.VEXFixed, "pkg:deb/debian/openssl")}, true},
		{"something else", []scan.VEXStatement{said(scan.VEXFixed, "https://example.com/product")}, false},
		{"nothing", []scan.VEXStatement{said(scan.VEXFixed)}, false},
		{"the image as a whole", []scan.VEXStatement{{Vulnerabilities: []string{"cve-2024-1"}, Status: scan.VEXFixed, Image: true}}, true},
		{"another vulnerability", []scan.VEXStatement{{Vulnerabilities: []string{"CVE-2024-2"}, Status: scan.VEXFixed, Image: true}}, false},
		{"taken back", []scan.VEXStatement{at(said(scan.VEXAffected, thisImage), 2), at(said(scan.VEXFixed, thisImage), 1)}, false},
		{"said in the end", []scan.VEXStatement{at(said(scan.VEXFixed, thisImage), 2), at(said(scan.VEXAffected, thisImage), 1)}, true},
		{"both at once", []scan.VEXStatement{said(scan.VEXFixed, thisImage), said(scan.VEXAffected, thisImage)}, false},
		{"both at once, the other way round", []scan.VEXStatement{said(scan.VEXAffected, thisImage), said(scan.VEXFixed, thisImage)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := scan.Exclusions{
				Repository: "team/app", Digest: image, Indexes: []digest.Digest{index},
				Documents: []scan.VEXDocument{{Digest: "sha256:doc", Author: "vendor", Statements: test.statements}},
			}
			other := secret
			other.ID, other.Aliases = "CVE-2024-3", nil
			left, out, _ := x.Apply([]scan.Finding{other, secret}, now)
			if (len(out) == 1) != test.out || len(left)+len(out) != 2 || left[0].ID != other.ID {
				t.Errorf("%d are left and %d are out", len(left), len(out))
			}
			if test.out && (out[0].By != "sha256:doc" || out[0].Author != "vendor" || out[0].Reason == "") {
				t.Errorf("it is out with %+v", out[0])
			}
		})
	}
}

// TestHostileVEX holds many findings against a document that names as much as one may.
func TestHostileVEX(t *testing.T) {
	s := scan.VEXStatement{Status: scan.VEXFixed}
	var findings []scan.Finding
	for i := range 2000 {
		findings = append(findings, scan.Finding{ID: fmt.Sprint("CVE-", i), Package: scan.Package{Name: "linux", PURL: "pkg:deb/debian/linux@1?arch=amd64&distro=debian-12"}})
		s.Vulnerabilities = append(s.Vulnerabilities, fmt.Sprint("CVE-", i))
	}
	for i := range 100_000 {
		s.Products = append(s.Products, scan.VEXProduct{Names: []string{fmt.Sprintf("pkg:deb/debian/linux?arch=%d", i)}})
	}
	x := scan.Exclusions{Repository: "app", Digest: "sha256:x", Documents: []scan.VEXDocument{{Statements: []scan.VEXStatement{s}}}}
	began := time.Now()
	left, _, _ := x.Apply(findings, time.Now())
	if took := time.Since(began); len(left) != len(findings) || took > 10*time.Second {
		t.Errorf("after %s %d are left", took, len(left))
	}
}

// TestIsAbout tells documents that somebody has put beside the wrong image, or with another name for it.
func TestIsAbout(t *testing.T) {
	for _, test := range []struct {
		name    string
		product scan.VEXProduct
		want    bool
	}{
		{"the image", scan.VEXProduct{Names: []string{image.String()}}, true},
		{"its index", scan.VEXProduct{Names: []string{index.String()}}, true},
		{"its name", scan.VEXProduct{Names: []string{"pkg:oci/app?repository_url=registry.example/team/app"}}, true},
		{"a package of it", scan.VEXProduct{Names: []string{"pkg:oci/app"}, Subcomponents: []string{"pkg:npm/lodash"}}, true},
		{"a package", scan.VEXProduct{Names: []string{"pkg:npm/lodash"}}, true},
		{"an image elsewhere", scan.VEXProduct{Names: []string{"pkg:oci/app?repository_url=registry.example/app"}}, false},
		{"another image", scan.VEXProduct{Names: []string{digest.FromString("other").String()}}, false},
		{"a package of another image", scan.VEXProduct{Names: []string{"pkg:oci/other"}, Subcomponents: []string{"pkg:npm/lodash"}}, false},
		{"a package without a type", scan.VEXProduct{Names: []string{"lodash"}}, false},
	} {
		d := scan.VEXDocument{Statements: []scan.VEXStatement{{
			Vulnerabilities: []string{"CVE-2024-1"}, Status: scan.VEXNotAffected, Products: []scan.VEXProduct{test.product},
		}}}
		if got := d.IsAbout("team/app", image, index); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}
