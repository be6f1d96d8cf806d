//go:build !goexperiment.jsonv2

package main

import "berth/scan"

// hasEngine says that Trivy is not linked: it needs the experiment.
const hasEngine = false

func newScanner() (scan.Scanner, error) { return nil, errNoEngine }
