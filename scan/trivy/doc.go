// Package trivy is a [berth/scan.Scanner] made of Trivy, linked in as a library.
//
// All of it but this sentence is built with GOEXPERIMENT=jsonv2, which Trivy needs, so
// that those who do without it neither download nor compile Trivy. Only
// cmd/berth-scanner imports it.
//
// What `trivy image --scanners vuln` finds is found here too, package by package, though
// layers come from a registry, results are in two steps, and what passes between them is a
// CycloneDX document. Nothing here uses the network: layers and databases are handed in.
package trivy
