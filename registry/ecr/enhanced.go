package ecr

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
)

// enhancedFinding is a finding as enhanced scanning has it. What is not known is left out,
// as whether a vulnerability is exploited.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_EnhancedImageScanFinding.html
type enhancedFinding struct {
	Account     string               `json:"awsAccountId"`
	ARN         string               `json:"findingArn"`
	Type        string               `json:"type"`
	Title       string               `json:"title"`
	Description string               `json:"description,omitempty"`
	Severity    scan.Severity        `json:"severity"`
	Status      string               `json:"status"`
	Score       float64              `json:"score,omitempty"`
	Details     *scoreDetails        `json:"scoreDetails,omitempty"`
	FirstAt     seconds              `json:"firstObservedAt,omitzero"`
	LastAt      seconds              `json:"lastObservedAt,omitzero"`
	UpdatedAt   seconds              `json:"updatedAt,omitzero"`
	Fix         string               `json:"fixAvailable"`
	Package     packageDetails       `json:"packageVulnerabilityDetails"`
	Remediation remediation          `json:"remediation"`
	Resources   []vulnerableResource `json:"resources"`
}

type scoreDetails struct {
	CVSS struct {
		Score   float64 `json:"score"`
		Source  string  `json:"scoreSource"`
		Vector  string  `json:"scoringVector,omitempty"`
		Version string  `json:"version"`
	} `json:"cvss"`
}

type packageDetails struct {
	ID         string              `json:"vulnerabilityId"`
	Source     string              `json:"source,omitempty"`
	URL        string              `json:"sourceUrl,omitempty"`
	Severity   string              `json:"vendorSeverity,omitempty"`
	CreatedAt  seconds             `json:"vendorCreatedAt,omitzero"`
	UpdatedAt  seconds             `json:"vendorUpdatedAt,omitzero"`
	References []string            `json:"referenceUrls"`
	Related    []string            `json:"relatedVulnerabilities"`
	CVSS       []cvss              `json:"cvss"`
	Packages   []vulnerablePackage `json:"vulnerablePackages"`
}

type cvss struct {
	Score   float64 `json:"baseScore"`
	Vector  string  `json:"scoringVector,omitempty"`
	Source  string  `json:"source"`
	Version string  `json:"version"`
}

type vulnerablePackage struct {
	Name    string        `json:"name"`
	Version string        `json:"version"`
	Release string        `json:"release,omitempty"`
	Epoch   int           `json:"epoch"`
	Arch    string        `json:"arch,omitempty"`
	Manager string        `json:"packageManager,omitempty"`
	Path    string        `json:"filePath,omitempty"`
	Layer   digest.Digest `json:"sourceLayerHash,omitempty"`
	FixedIn string        `json:"fixedInVersion"`
}

type remediation struct {
	Recommendation struct {
		Text string `json:"text"`
		URL  string `json:"url,omitempty"`
	} `json:"recommendation"`
}

type vulnerableResource struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Details struct {
		Image vulnerableImage `json:"awsEcrContainerImage"`
	} `json:"details"`
}

type vulnerableImage struct {
	Platform   string         `json:"platform,omitempty"`
	Registry   string         `json:"registry"`
	Repository registry.Name  `json:"repositoryName"`
	Digest     digest.Digest  `json:"imageHash"`
	Tags       []registry.Tag `json:"imageTags"`
	PushedAt   seconds        `json:"pushedAt"`
}

func (c *call) enhancedFindings(view scanView, repo registry.Name, image registry.Image, report scan.Report, page []scan.Finding) []enhancedFinding {
	resource := vulnerableResource{Type: "AWS_ECR_CONTAINER_IMAGE", ID: c.opts.Location.ARN(repo) + "/" + string(image.Digest)}
	resource.Details.Image = vulnerableImage{
		Platform: strings.ToUpper(strings.NewReplacer(" ", "_", ".", "_").Replace(report.OS)),
		Registry: c.account(), Repository: repo, Digest: image.Digest, Tags: append([]registry.Tag{}, image.Tags...), PushedAt: seconds(image.PushedAt),
	}
	found := make([]enhancedFinding, 0, len(page))
	for _, f := range page {
		e := newEnhancedFinding(f)
		e.Account = c.account()
		sum := sha256.Sum256([]byte(string(repo) + "\x00" + string(image.Digest) + "\x00" + f.Key()))
		e.ARN = "arn:aws:inspector2:" + c.opts.Location.RegionName() + ":" + c.account() + ":finding/" + hex.EncodeToString(sum[:16])
		e.Severity = view.severity(f.Severity)
		e.LastAt, e.UpdatedAt = seconds(report.CompletedAt), seconds(report.CompletedAt)
		e.Resources = []vulnerableResource{resource}
		found = append(found, e)
	}
	return found
}

// newEnhancedFinding has what a finding says by itself, whatever image it is in.
func newEnhancedFinding(f scan.Finding) enhancedFinding {
	e := enhancedFinding{
		Type: "PACKAGE_VULNERABILITY", Title: f.ID + " - " + f.Package.Name, Description: cmp.Or(f.Description, f.Title),
		Status: "ACTIVE", FirstAt: seconds(f.FirstFoundAt), Fix: "NO",
		Package: packageDetails{
			ID: f.ID, Source: strings.ToUpper(f.Source), URL: f.URL, Severity: string(f.Severity),
			CreatedAt: seconds(f.PublishedAt), UpdatedAt: seconds(f.ModifiedAt),
			References: append([]string{}, f.References...), Related: append([]string{}, f.Aliases...), CVSS: []cvss{},
			Packages: []vulnerablePackage{newVulnerablePackage(f)},
		},
	}
	if score, ok := f.Score(); ok {
		e.Score, e.Details = score.Score, &scoreDetails{}
		d := &e.Details.CVSS
		d.Score, d.Source, d.Vector, d.Version = score.Score, strings.ToUpper(score.Source), score.Vector, score.Version
	}
	for _, s := range f.CVSS {
		e.Package.CVSS = append(e.Package.CVSS, cvss{s.Score, s.Vector, strings.ToUpper(s.Source), s.Version})
	}
	e.Remediation.Recommendation.Text = "None Provided"
	if f.Fixable() {
		e.Fix = "YES"
		e.Remediation.Recommendation.Text = "Update " + f.Package.Name + " to " + f.Fixed
	}
	e.Remediation.Recommendation.URL = f.URL
	return e
}

func newVulnerablePackage(f scan.Finding) vulnerablePackage {
	p := vulnerablePackage{
		Name: f.Package.Name, Version: f.Installed, Arch: architecture(f.Package.PURL), Manager: packageManager(f.Package),
		Path: cmp.Or(f.Package.Path, f.Package.Target), Layer: f.Package.Layer, FixedIn: cmp.Or(f.Fixed, "NotAvailable"),
	}
	if f.Package.OS {
		p.Path = f.Package.Path // the target is the operating system
		p.Epoch, p.Version, p.Release = splitVersion(f.Installed)
	}
	return p
}

// splitVersion takes the version of a package of an operating system apart, EPOCH:VERSION-RELEASE.
func splitVersion(s string) (epoch int, version, release string) {
	if before, rest, ok := strings.Cut(s, ":"); ok {
		if n, err := strconv.ParseUint(before, 10, 31); err == nil {
			epoch, s = int(n), rest
		}
	}
	if i := strings.LastIndexByte(s, '-'); i > 0 {
		return epoch, s[:i], s[i+1:]
	}
	return epoch, s, ""
}

// architecture is the one that the URL of a package names; empty if there is none.
func architecture(purl string) string {
	_, query, _ := strings.Cut(purl, "?")
	query, _, _ = strings.Cut(query, "#")
	values, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	return strings.ToUpper(values.Get("arch"))
}

// packageManager is the type of a package as ECR writes it, such as NODEPKG.
func packageManager(p scan.Package) string {
	switch {
	case p.OS:
		return "OS"
	case p.Type == "dotnet-core":
		return "DOTNET_CORE"
	}
	return strings.ToUpper(strings.ReplaceAll(p.Type, "-", ""))
}
