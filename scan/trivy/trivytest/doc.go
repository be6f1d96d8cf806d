// Package trivytest makes what tests of scans need: vulnerability databases of Trivy's own
// fixtures, as folders and as the artifact that Trivy distributes, and a Debian. It is built
// with GOEXPERIMENT=jsonv2, as Trivy is.
package trivytest
