// Package blobtest says in tests what every [blob.Store] must do. A driver runs it:
//
//	func TestStore(t *testing.T) {
//		blobtest.Run(t, func(t *testing.T) blob.Store { return mem.New() })
//	}
//
// The suite asks only for what the comments in package blob promise. Where they leave
// a driver free, as in what it tells about an unfinished object of which no byte has
// reached a bucket, so does the suite.
package blobtest

import (
	"testing"

	"berth/storage/blob"
)

// Run tests the stores that open returns. It is called once for each test, and tests
// run at the same time, because most of what they do is wait for a disk or a server.
// It may return the same store again: keys are new, and nothing is asked of other
// objects.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s blob.Store)
	}{
		{"Commit", testCommit},
		{"Invisible", testInvisible},
		{"Empty", testEmpty},
		{"Pieces", testPieces},
		{"EndedWriter", testEndedWriter},
		{"ContextOfCreate", testContextOfCreate},
		{"CreateAgain", testCreateAgain},

		{"Seek", testSeek},
		{"Readers", testReaders},
		{"NotExist", testNotExist},
		{"Delete", testDelete},
		{"DeleteUnfinished", testDeleteUnfinished},
		{"DeleteWhileReading", testDeleteWhileReading},

		{"Resume", testResume},
		{"ResumeBig", testResumeBig},
		{"ResumeCutsOff", testResumeCutsOff},
		{"ResumeEarlierState", testResumeEarlierState},
		{"CloseKeepsSuspended", testCloseKeepsSuspended},
		{"CloseAtOnce", testCloseAtOnce},
		{"ResumeCommitted", testResumeCommitted},
		{"ResumeDiscarded", testResumeDiscarded},

		{"Discard", testDiscard},
		{"DiscardCommitted", testDiscardCommitted},

		{"All", testAll},
		{"AllStops", testAllStops},
		{"Cancelled", testCancelled},
		{"CancelledWriter", testCancelledWriter},
		{"Concurrent", testConcurrent},
		{"Model", testModel},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}
