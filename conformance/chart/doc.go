// Package chart tests the Helm chart in deploy/chart without a cluster.
//
//	cd conformance/chart && go test ./...
//
// Each file in testdata is a set of values. What the chart makes of it is decoded strictly into the types of the
// Kubernetes API, so a misspelt field is an error, and then looked at as the cluster would: does every selector find the
// pods, is there a port behind every name, a Secret behind every reference. The configuration file for one node is read by
// berth itself.
//
// The package is a Go module of its own, so that berth does not depend on Kubernetes.
//
// # Settings
//
//   - BERTH_BIN is the berth binary; without it the one in this tree is built.
//   - BERTH_CACHE is the folder that conformance/clients/install.sh fills, ~/.cache/berth by default. helm is taken from
//     there or from PATH, or else installed there.
package chart
