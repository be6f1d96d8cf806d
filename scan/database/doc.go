// Package database brings vulnerability databases into the registry. They are made by
// others and travel as artifacts of OCI: a manifest with one layer, a compressed tar of two
// files. Workers pull them from a repository of this registry and from nowhere else.
//
// [Check] says whether a layer is what it should be. An [Importer] takes an [Artifact],
// from a file or another registry, checks it as it streams into the registry and has
// workers go by it. An [Updater] does that again and again.
//
// https://github.com/aquasecurity/trivy-db, https://github.com/aquasecurity/trivy-java-db
package database
