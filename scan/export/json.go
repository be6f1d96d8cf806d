package export

import (
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
)

// Report is a report as JSON has it. Times that are not known are left out.
type Report struct {
	Repository  registry.Name  `json:"repository"`
	Digest      digest.Digest  `json:"digest"`
	Name        string         `json:"name,omitempty"`
	Status      scan.Status    `json:"status"`
	Reason      string         `json:"reason,omitempty"`
	RequestedAt time.Time      `json:"requestedAt,omitzero"`
	CompletedAt time.Time      `json:"completedAt,omitzero"`
	Scanner     string         `json:"scanner,omitempty"`
	OS          string         `json:"os,omitempty"`
	Database    *Database      `json:"database,omitempty"` // that the findings are from
	Counts      scan.Counts    `json:"counts,omitempty"`   // of all findings, also of those that are not listed
	Platforms   []Platform     `json:"platforms,omitempty"`
	Findings    []scan.Finding `json:"findings"`
	Excepted    []Excepted     `json:"excepted,omitempty"`
}

// Database is a vulnerability database.
type Database struct {
	Digest    digest.Digest `json:"digest"`
	UpdatedAt time.Time     `json:"updatedAt"`
}

// Platform is the scan of one image of an index.
type Platform struct {
	Platform string        `json:"platform"`
	Digest   digest.Digest `json:"digest"`
	Status   scan.Status   `json:"status"`
	Reason   string        `json:"reason,omitempty"`
	Counts   scan.Counts   `json:"counts,omitempty"`
}

// Excepted is a finding that was taken out.
type Excepted struct {
	scan.Finding
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	Author string    `json:"author,omitempty"`
	Until  time.Time `json:"until,omitzero"`
}

// JSON is an image's report for JSON.
func JSON(i Image) Report {
	r := Report{
		Repository: i.Repository, Digest: i.Digest, Name: i.Name, Status: i.Status, Reason: i.Reason,
		RequestedAt: i.RequestedAt, CompletedAt: i.CompletedAt, Scanner: i.Scanner, OS: i.OS, Counts: i.Counts,
		Findings: append([]scan.Finding{}, i.Findings...),
	}
	if i.Database.Digest != "" {
		r.Database = &Database{i.Database.Digest, i.Database.UpdatedAt}
	}
	for _, p := range i.Platforms {
		r.Platforms = append(r.Platforms, Platform{p.Platform, p.Digest, p.Status, p.Reason, p.Counts})
	}
	for _, x := range i.Excepted {
		r.Excepted = append(r.Excepted, Excepted{x.Finding, x.Reason, x.By, x.Author, x.Until})
	}
	return r
}
