package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
)

// leaks is what no body may show: what S3 and PostgreSQL say, where they are, and how berth uses them.
var leaks = regexp.MustCompile(`(?i)SQLSTATE|postgres|pgx|pgconn|sqlite|FATAL|SELECT |INSERT |UPDATE |DELETE FROM|` +
	`transaction|s3|minio|bucket|NoSuch|SlowDown|reduce your|InternalError|ExpiredToken|<Error|dial tcp|EOF|127\.0\.0\.1|` +
	`connection (refused|reset)|broken pipe|deadline|[0-9a-f]{2}/[0-9a-f]{32}|berth-conformance`)

// judge counts an answer and says whether it is one that a client may get.
func (t *trial) judge(what string, q request, a answer) {
	t.count(a)
	switch {
	case a.status == 0 && os.IsTimeout(a.err):
		t.violation("%s: no answer in %v", what, bound)
	case a.status == 0:
		t.violation("%s: %v", what, a.err)
	case a.err != nil && q.blob && a.status == http.StatusOK && !os.IsTimeout(a.err):
		// Half of it had been sent when the rest could not be had: there is no other way to say so.
	case a.err != nil:
		t.violation("%s: %d, and its body breaks off: %v", what, a.status, a.err)
	case a.status < 300:
	default:
		if err := allowed(q, a); err != nil {
			t.violation("%s: %v: %d %s", what, err, a.status, a.body)
		}
	}
}

// allowed says what is wrong with a refusal.
func allowed(q request, a answer) error {
	if found := leaks.Find(a.body); found != nil {
		return fmt.Errorf("the body shows %q", found)
	}
	var body struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal(a.body, &body); err != nil || len(body.Errors) != 1 {
		return errors.Join(errors.New("the body is none of the specification's"), err)
	}
	told := body.Errors[0]
	switch {
	case a.status == http.StatusServiceUnavailable:
		if a.header.Get("Retry-After") == "" || !strings.Contains(told.Message, "try again") {
			return errors.New("a 503 that does not say when to try again")
		}
		return nil
	case q.upload && a.status == http.StatusRequestedRangeNotSatisfiable,
		q.upload && a.status == http.StatusNotFound && told.Code == "BLOB_UPLOAD_UNKNOWN":
		return nil
	}
	return errors.New("a refusal that no fault excuses")
}
