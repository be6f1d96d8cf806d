// Package export writes reports in the formats that other programs read: SARIF, CycloneDX
// and JSON of its own. It reads nothing and keeps nothing.
package export

import "berth/scan"

// Image is a report to be written, and what the image is called there: as somebody has asked
// for it, such as team/app:v1.
type Image struct {
	Name string
	scan.Report
}
