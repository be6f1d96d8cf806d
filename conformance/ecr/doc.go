// Package ecr asks berth everything that Amazon ECR can be asked, with the AWS SDK for Go, unmodified.
//
//	BERTH_ECR=1 go test ./conformance/ecr                        # one berth on its own disk
//	BERTH_ECR=1 BERTH_ECR_REPLICAS=3 go test ./conformance/ecr   # three, on PostgreSQL and S3
//
// Which errors each operation documents stands in a table (documented_test.go), and beside it which of them berth never
// gives, and why. The client notes what every call comes to. In the end each operation must have succeeded and given each
// of its errors, or the table must say why not, and nothing may have come that is not documented. What the SDK cannot send,
// such as a wrong signature, is sent by hand (wire_test.go).
//
// Without BERTH_ECR the tests are skipped. BERTH_BIN is the berth binary to test; without it ./cmd/berth is built.
package ecr
