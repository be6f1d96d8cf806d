// Package hostile pushes images that want to do harm to whoever unpacks them, and kills the scanner while it works.
//
//	BERTH_HOSTILE=1 go test ./conformance/hostile        # make hostile builds both binaries before
//
// A real berth runs a real berth-scanner with small limits. Each hostile image has to come to an end with a reason, the
// next one is scanned, and nothing of it is left, neither in the scanner's folder nor where its names point to.
//
// Without BERTH_HOSTILE the tests are skipped. BERTH_BIN and BERTH_SCANNER_BIN are the binaries; by default bin/berth and
// bin/berth-scanner.
package hostile
