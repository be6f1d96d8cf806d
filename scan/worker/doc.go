// Package worker does the jobs of a registry: it asks for them over HTTP, has an engine do
// them, and reports what comes out.
//
// Images are made by strangers, and to read them is to run their data through a hundred
// parsers. So a [Worker] does not read any: that happens in an [Engine], a process of its own
// that the worker starts, watches and, when it takes more than its [Limits], kills. An engine
// has no credentials but the token of the job, which pulls from one repository. What dies
// with it is the job, for which the worker gives the reason; the next engine is started at
// once, so that the next job finds it ready.
//
// The databases that engines look things up in come from the registry. The worker fetches
// and checks them and keeps them in its folder; one that is broken or older than the
// present one is never put in its place.
package worker
