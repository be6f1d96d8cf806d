package ecr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"berth/auth"
	"berth/registry"
	"berth/scan"
)

type putImageScanningInput struct {
	repositoryInput
	Scanning *scanning `json:"imageScanningConfiguration"`
}

func (in *putImageScanningInput) validate(k *check) {
	in.repositoryInput.validate(k)
	k.required("imageScanningConfiguration", in.Scanning != nil)
}

type imageScanningOutput struct {
	RegistryID string        `json:"registryId"`
	Repository registry.Name `json:"repositoryName"`
	Scanning   scanning      `json:"imageScanningConfiguration"`
}

func (c *call) putImageScanningConfiguration(ctx context.Context, in *putImageScanningInput) (imageScanningOutput, error) {
	_, err := c.admin.ChangeSettings(ctx, in.RepositoryName, func(s *registry.Settings) error {
		s.ScanOnPush = in.Scanning.ScanOnPush
		return nil
	})
	return imageScanningOutput{c.account(), in.RepositoryName, *in.Scanning}, err
}

// scanningConfiguration is what is scanned in the registry as a whole.
type scanningConfiguration struct{ scan.Configuration }

var scanningFilterPattern = newPattern(scan.FilterPattern)

func (in *scanningConfiguration) validate(k *check) {
	k.enum("scanType", string(in.Mode), "BASIC", "ENHANCED")
	k.length("rules", len(in.Rules), 0, 2)
	frequencies := []string{"SCAN_ON_PUSH", "MANUAL"}
	if in.Mode == scan.Enhanced {
		frequencies = []string{"SCAN_ON_PUSH", "CONTINUOUS_SCAN"}
	}
	given := map[scan.Frequency]bool{}
	for i, rule := range in.Rules {
		at := func(member string) string { return fmt.Sprintf("rules[%d].%s", i, member) }
		k.required(at("scanFrequency"), rule.Frequency != "")
		k.enum(at("scanFrequency"), string(rule.Frequency), "SCAN_ON_PUSH", "CONTINUOUS_SCAN", "MANUAL")
		k.enum(at("scanFrequency"), string(rule.Frequency), frequencies...)
		if given[rule.Frequency] {
			k.fail(at("scanFrequency"), "Member must be given in one rule only")
		}
		given[rule.Frequency] = true
		k.required(at("repositoryFilters"), rule.Filters != nil)
		k.length(at("repositoryFilters"), len(rule.Filters), 0, 100)
		for _, f := range rule.Filters {
			k.length(at("repositoryFilters.filter"), len(f.Filter), 1, 255)
			k.matches(at("repositoryFilters.filter"), f.Filter, scanningFilterPattern)
			k.required(at("repositoryFilters.filterType"), f.Type != "")
			k.enum(at("repositoryFilters.filterType"), f.Type, "WILDCARD")
		}
	}
}

type putRegistryScanningOutput struct {
	Configuration scan.Configuration `json:"registryScanningConfiguration"`
}

func (c *call) putRegistryScanningConfiguration(ctx context.Context, in *scanningConfiguration) (putRegistryScanningOutput, error) {
	if in.Mode == "" {
		in.Mode = scan.Basic
	}
	if in.Rules == nil {
		in.Rules = []scan.Rule{}
	}
	text, err := json.Marshal(in.Configuration)
	if err != nil {
		return putRegistryScanningOutput{}, err
	}
	_, err = c.admin.SetSetting(ctx, registry.ScanningSetting, text)
	return putRegistryScanningOutput{in.Configuration}, err
}

func (c *call) scanningConfiguration(ctx context.Context) (scan.Configuration, error) {
	text, err := c.admin.Setting(ctx, registry.ScanningSetting)
	if err != nil && !errors.Is(err, registry.ErrNotSet) {
		return scan.Configuration{}, err
	}
	return scan.ParseConfiguration(text)
}

type getRegistryScanningOutput struct {
	RegistryID    string             `json:"registryId"`
	Configuration scan.Configuration `json:"scanningConfiguration"`
}

func (c *call) getRegistryScanningConfiguration(ctx context.Context, _ *nothing) (getRegistryScanningOutput, error) {
	found, err := c.scanningConfiguration(ctx)
	return getRegistryScanningOutput{c.account(), found}, err
}

type batchScanningInput struct {
	Names []registry.Name `json:"repositoryNames"`
}

func (in *batchScanningInput) validate(k *check) {
	k.required("repositoryNames", in.Names != nil)
	k.length("repositoryNames", len(in.Names), 1, 25)
	for _, name := range in.Names {
		k.repositoryName("repositoryNames", string(name))
	}
}

type repositoryScanning struct {
	ARN        string         `json:"repositoryArn"`
	Name       registry.Name  `json:"repositoryName"`
	ScanOnPush bool           `json:"scanOnPush"`
	Frequency  scan.Frequency `json:"scanFrequency"`
	Applied    []scan.Filter  `json:"appliedScanFilters"`
}

type scanningFailure struct {
	Name   registry.Name `json:"repositoryName"`
	Code   string        `json:"failureCode"`
	Reason string        `json:"failureReason"`
}

type batchScanningOutput struct {
	Configurations []repositoryScanning `json:"scanningConfigurations"`
	Failures       []scanningFailure    `json:"failures"`
}

func (c *call) batchGetRepositoryScanningConfiguration(ctx context.Context, in *batchScanningInput) (batchScanningOutput, error) {
	out := batchScanningOutput{[]repositoryScanning{}, []scanningFailure{}}
	names := dedupe(in.Names)
	for _, name := range names {
		if err := c.opts.Authorize(ctx, auth.BatchGetRepositoryScanningConfiguration, name); err != nil {
			return out, err
		}
	}
	configuration, err := c.scanningConfiguration(ctx)
	if err != nil {
		return out, err
	}
	for _, name := range names {
		r, err := c.admin.Repository(ctx, name)
		switch {
		case errors.Is(err, registry.ErrNameUnknown):
			out.Failures = append(out.Failures, scanningFailure{name, "REPOSITORY_NOT_FOUND", repositoryNotFound(name, c.account()).Message})
			continue
		case err != nil:
			return out, err
		}
		out.Configurations = append(out.Configurations, c.scanningOf(r, configuration))
	}
	return out, nil
}

// scanningOf is how a repository is scanned.
func (c *call) scanningOf(r registry.Repository, configuration scan.Configuration) repositoryScanning {
	frequency, applied := configuration.For(r.Name, r.ScanOnPush)
	if applied == nil {
		applied = []scan.Filter{}
	}
	return repositoryScanning{c.opts.Location.ARN(r.Name), r.Name, frequency != scan.Manual, frequency, applied}
}
