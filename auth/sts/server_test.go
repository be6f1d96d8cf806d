package sts_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The answers, word for word as clients read them that are no SDK.
func TestAnswers(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		name, body string
		status     int
		want       string // of the answer
	}{
		{"no operation", "Version=2011-06-15", 400, "<Code>MissingAction</Code>"},
		{"nothing", "", 400, "<Code>MissingAction</Code>"},
		{"another operation", "Action=AssumeRole&Version=2011-06-15", 400, "<Code>InvalidAction</Code>\n    <Message>Could not find operation AssumeRole for version 2011-06-15</Message>"},
		{"another version", "Action=GetCallerIdentity&Version=2010-05-08", 400, "<Code>InvalidAction</Code>"},
		{"twice", "Action=GetCallerIdentity&Action=GetSessionToken", 400, "<Code>MalformedQueryString</Code>"},
		{"an escape that is none", "Action=%zz", 400, "<Code>MalformedQueryString</Code>"},
		{"no UTF-8", "Action=GetSessionToken&x=%ff", 400, "<Code>MalformedQueryString</Code>"},
		{"too much", "Action=" + strings.Repeat("x", 64<<10), 413, "<Code>RequestEntityTooLarge</Code>"},
		{"unsigned", "Action=GetCallerIdentity", 403, "<Code>MissingAuthenticationToken</Code>"},
		{"all missing", "Action=AssumeRoleWithWebIdentity", 400, "<Message>3 validation errors detected: Value null at &#39;roleArn&#39; failed to satisfy constraint: Member must not be null; Value null at &#39;roleSessionName&#39;"},
		{"one wrong", assumptionWith("DurationSeconds", "soon"), 400, "1 validation error detected: Value &#39;soon&#39; at &#39;durationSeconds&#39; failed to satisfy constraint: Member must be an integer"},
		{"a number in other words", assumptionWith("DurationSeconds", "9e2"), 400, "Member must be an integer"},
		{"markup", "Action=%3CAction%3E", 400, "Could not find operation &lt;Action&gt;"},
	} {
		resp, err := http.Post(w.URL, "application/x-www-form-urlencoded", strings.NewReader(test.body))
		must(t, err)
		b, err := io.ReadAll(resp.Body)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != test.status || !strings.Contains(string(b), test.want) || resp.Header.Get("Content-Type") != "text/xml" ||
			resp.Header.Get("X-Amzn-Requestid") != "the-request" {
			t.Errorf("%s: %s %s\n%s", test.name, resp.Status, resp.Header, b)
		}
		for _, part := range []string{
			`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">`, "<Type>Sender</Type>", "<RequestId>the-request</RequestId>",
		} {
			if !strings.Contains(string(b), part) {
				t.Errorf("%s lacks %s:\n%s", test.name, part, b)
			}
		}
	}

	status, body := w.ask(t, assumption(w.token(t, "repo:acme/app:<x>", nil)))
	for _, part := range []string{
		`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">` + "\n  <AssumeRoleWithWebIdentityResult>",
		"<SubjectFromWebIdentityToken>repo:acme/app:&lt;x&gt;</SubjectFromWebIdentityToken>", "<Credentials>", "<AccessKeyId>ASIA",
		"<ResponseMetadata>\n    <RequestId>the-request</RequestId>\n  </ResponseMetadata>\n</AssumeRoleWithWebIdentityResponse>",
	} {
		if status != http.StatusOK || !strings.Contains(body, part) {
			t.Errorf("%d lacks %s:\n%s", status, part, body)
		}
	}
}

func assumptionWith(name, value string) string {
	f := assumption("a.b.c")
	f.Set(name, value)
	return f.Encode()
}

// Who asks for a role that is not there is told the same as who may not have it.
func TestRolesAreSecret(t *testing.T) {
	w := newWorld(t)
	good := w.token(t, "repo:acme/app:x", nil)
	f := assumption(w.token(t, "repo:evil/app:x", nil))
	refusedStatus, refused := w.ask(t, f)
	f = assumption(good)
	f.Set("RoleArn", "arn:aws:iam::123456789012:role/nobody")
	unknownStatus, unknown := w.ask(t, f)
	if refused != unknown || refusedStatus != unknownStatus || !strings.Contains(refused, "AccessDenied") {
		t.Errorf("they differ:\n%s\n%s", refused, unknown)
	}
	events, notes := w.take()
	if a, b := events[0].Err.Error(), events[1].Err.Error(); a == b || notes[0].Err == nil {
		t.Errorf("the audit log has %q and %q", a, b)
	}
}

// FuzzForm sends whatever bytes as a form: the answer is always XML, never a fault and
// never credentials.
func FuzzForm(f *testing.F) {
	for _, body := range []string{
		"Action=GetCallerIdentity&Version=2011-06-15", "Action=GetSessionToken&DurationSeconds=900", assumptionWith("Policy", "{}"),
		"Action=AssumeRoleWithWebIdentity&PolicyArns.member.1.arn=x", "a=b;c=d", "%", "=&=&", "Action=%00", "&&&Action=x",
	} {
		f.Add(body, true)
		f.Add(body, false)
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, text string, post bool) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if !post {
			r = httptest.NewRequest(http.MethodGet, "/", nil)
			r.URL.RawQuery = text
		}
		rec := httptest.NewRecorder()
		w.Config.Handler.ServeHTTP(rec, r)
		var answer struct {
			XMLName xml.Name
			Error   struct{ Type, Code, Message string }
		}
		if err := xml.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%q: %v\n%s", text, err, rec.Body)
		}
		if rec.Code < 400 || rec.Code >= 500 || answer.XMLName.Local != "ErrorResponse" || answer.Error.Code == "" || answer.Error.Type != "Sender" {
			t.Fatalf("%q: %d %+v", text, rec.Code, answer)
		}
		if events, _ := w.take(); len(events) > 0 && events[0].Err == nil {
			t.Fatalf("%q: %+v", text, events)
		}
	})
}
