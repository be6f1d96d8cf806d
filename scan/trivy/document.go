//go:build goexperiment.jsonv2

package trivy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	cdx "github.com/CycloneDX/cyclonedx-go"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/report"
	"github.com/aquasecurity/trivy/pkg/sbom"
	"github.com/aquasecurity/trivy/pkg/sbom/core"
	"github.com/aquasecurity/trivy/pkg/sbom/cyclonedx"
	sbomio "github.com/aquasecurity/trivy/pkg/sbom/io"
	"github.com/aquasecurity/trivy/pkg/scan/utils"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/package-url/packageurl-go"
)

// An inventory is the document that `trivy image --format cyclonedx` writes. Reading it,
// Trivy does not get back all that it knew. Whether a system is under extended support and
// from which repository it takes packages is not in it at all; packages without a package
// URL, or with one of a type that Trivy does not expect there, are skipped; so are marks such
// as that a package is not the distributor's. For findings to be the same, what is lost
// stands in properties of ours: the system always, a package when reading it back shows that
// something is missing.
const (
	osProperty      = "berth:os"      // of the root: a system in JSON
	packageProperty = "berth:package" // of a package that would not come back as it was: a keptPackage in JSON
)

// system is an operating system.
type system struct {
	OS         ftypes.OS          `json:"os"`
	Repository *ftypes.Repository `json:"repository,omitempty"`
}

// keptPackage is a package and where it belongs: to the operating system, or to an application.
type keptPackage struct {
	Type    string         `json:"type"`
	File    string         `json:"file,omitempty"` // of the application; empty for those that Trivy puts together by language
	OS      bool           `json:"os,omitempty"`
	Package ftypes.Package `json:"package"`
}

// encode writes the inventory of what was found.
func encode(ctx context.Context, f found) (json.RawMessage, error) {
	bom, err := sbomio.NewEncoder(sbomio.WithBOMRef()).Encode(types.Report{
		SchemaVersion: report.SchemaVersion,
		ArtifactName:  f.artifact.Name,
		ArtifactType:  ftypes.TypeContainerImage,
		Metadata: types.Metadata{
			OS:          osOf(f.os),
			ImageID:     f.artifact.ImageMetadata.ID,
			DiffIDs:     f.artifact.ImageMetadata.DiffIDs,
			ImageConfig: f.artifact.ImageMetadata.ConfigFile,
			Size:        f.layers.TotalSize(),
		},
		Results: f.results,
	})
	if err != nil {
		return nil, err
	}
	if err := keep(bom.Root(), osProperty, system{f.os, f.repository}); err != nil {
		return nil, err
	}
	document, err := marshal(ctx, bom)
	if err != nil {
		return nil, err
	}
	lost, err := lost(ctx, document, f.results)
	if err != nil || len(lost) == 0 {
		return document, err
	}
	for _, c := range bom.Components() {
		if p, ok := lost[c.PkgIdentifier.UID]; ok && c.Type == core.TypeLibrary {
			if err := keep(c, packageProperty, p); err != nil {
				return nil, err
			}
		}
	}
	return marshal(ctx, bom)
}

func osOf(os ftypes.OS) *ftypes.OS {
	if !os.Detected() {
		return nil
	}
	return &os
}

// keep adds a property of ours to a component.
func keep(c *core.Component, name string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return err
	}
	c.Properties = append(c.Properties, core.Property{Name: name, Value: string(content), External: true})
	return nil
}

func marshal(ctx context.Context, bom *core.BOM) (json.RawMessage, error) {
	m := cyclonedx.NewMarshaler(version)
	document, err := m.Marshal(ctx, bom)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).Encode(document); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// lost are the packages that are not in the document as they should be, by Trivy's UID.
func lost(ctx context.Context, document json.RawMessage, results types.Results) (map[string]keptPackage, error) {
	read, err := decode(ctx, document)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, p := range read.Packages {
		there[essence(keptPackage{OS: true, Package: p})] = true
	}
	for _, app := range read.Applications {
		for _, p := range app.Packages {
			there[essence(keptPackage{Type: string(app.Type), File: app.FilePath, Package: p})] = true
		}
	}
	lost := map[string]keptPackage{}
	for _, r := range results {
		for _, p := range r.Packages {
			k := keptPackage{Type: string(r.Type), File: r.Target, OS: r.Class == types.ClassOSPkg, Package: p}
			if k.OS || slices.Contains(ftypes.AggregatingTypes, r.Type) {
				k.File = "" // what Trivy shows there is the name of the system or of the language
			}
			if !there[essence(k)] {
				lost[p.Identifier.UID] = k.bare()
			}
		}
	}
	return lost, nil
}

// essence is all of a package that findings depend on. Versions are compared as a whole, as
// those of Debian come back in one piece; of where a package was taken from only counts
// whether that was a third party, about whom the system's advisories say nothing.
func essence(k keptPackage) string {
	p := k.Package
	if k.OS {
		k.Type, k.File = "", ""
	}
	e, _ := json.Marshal([]any{ // none of these can fail to be JSON
		k.OS, k.Type, k.File, p.Name, utils.FormatVersion(p), utils.FormatSrcVersion(p), p.SrcName, p.Epoch, p.Arch, p.ID,
		p.Modularitylabel, p.BuildInfo, p.Repository.Class == ftypes.RepositoryClassThirdParty, p.FilePath, p.Layer.Digest, p.Layer.DiffID, purlOf(p),
	})
	return string(e)
}

func purlOf(p ftypes.Package) string {
	if p.Identifier.PURL == nil {
		return ""
	}
	return p.Identifier.PURL.String()
}

// bare leaves out what findings do not depend on, and what stands in the document in any case.
func (k keptPackage) bare() keptPackage {
	p := &k.Package
	p.Identifier = ftypes.PkgIdentifier{}
	p.Licenses, p.Maintainer, p.DependsOn, p.Locations, p.InstalledFiles, p.Digest = nil, "", nil, nil, nil, ""
	return k
}

// decode reads an inventory: what Trivy reads in it, and then what stands in our properties.
func decode(ctx context.Context, document json.RawMessage) (types.ScanTarget, error) {
	s, err := sbom.Decode(ctx, bytes.NewReader(document), sbom.FormatCycloneDXJSON)
	if err != nil {
		return types.ScanTarget{}, fmt.Errorf("it is not a CycloneDX document: %w", err)
	}
	target := types.ScanTarget{Applications: s.Applications}
	for _, info := range s.Packages {
		target.Packages = append(target.Packages, info.Packages...)
	}
	if s.Metadata.OS != nil {
		target.OS = *s.Metadata.OS
	}
	for _, c := range s.BOM.Components() {
		for _, p := range c.Properties {
			switch {
			case !p.External:
			case p.Name == osProperty && c.Root:
				var kept system
				if err := json.Unmarshal([]byte(p.Value), &kept); err != nil {
					return types.ScanTarget{}, fmt.Errorf("its property %s: %w", osProperty, err)
				}
				target.OS, target.Repository = kept.OS, kept.Repository
			case p.Name == packageProperty:
				var kept keptPackage
				if err := json.Unmarshal([]byte(p.Value), &kept); err != nil {
					return types.ScanTarget{}, fmt.Errorf("its property %s: %w", packageProperty, err)
				}
				restore(&target, kept, c.PkgIdentifier.BOMRef, c.PkgIdentifier.PURL)
			}
		}
	}
	return target, nil
}

// restore puts a package where it belongs, and takes away what Trivy has read of it.
func restore(target *types.ScanTarget, kept keptPackage, ref string, purl *packageurl.PackageURL) {
	same := func(p ftypes.Package) bool { return p.Identifier.BOMRef == ref }
	target.Packages = slices.DeleteFunc(target.Packages, same)
	for n := range target.Applications {
		target.Applications[n].Packages = slices.DeleteFunc(target.Applications[n].Packages, same)
	}

	p := kept.Package
	p.Identifier = ftypes.PkgIdentifier{BOMRef: ref, PURL: purl}
	if kept.OS {
		target.Packages = append(target.Packages, p)
		return
	}
	for n, app := range target.Applications {
		if string(app.Type) == kept.Type && app.FilePath == kept.File {
			target.Applications[n].Packages = append(app.Packages, p)
			return
		}
	}
	target.Applications = append(target.Applications, ftypes.Application{
		Type: ftypes.LangType(kept.Type), FilePath: kept.File, Packages: ftypes.Packages{p},
	})
}
