package checkup_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"berth/storage/checkup"
)

func TestChecks(t *testing.T) {
	var told []string
	c := checkup.Checks{Found: func(f checkup.Finding) { told = append(told, f.Name+" "+string(f.Severity)) }}
	fine := func(context.Context) checkup.Finding { return checkup.Fine("as it should be") }
	hangs := func(context.Context) checkup.Finding { select {} }
	waits := func(ctx context.Context) checkup.Finding {
		<-ctx.Done()
		return checkup.Bad(ctx.Err().Error(), "")
	}
	c.Do(t.Context(), "first", fine)
	c.DoWithin(t.Context(), time.Millisecond, "second", hangs, "first")
	c.DoWithin(t.Context(), time.Millisecond, "third", waits)
	c.Do(t.Context(), "fourth", fine, "first", "second")
	c.Do(t.Context(), "fifth", fine, "fourth")
	want := "first ok, second problem, third problem, fourth skipped, fifth skipped"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if all := c.All(); len(all) != 5 || all[3].Seen != "because of second" {
		t.Errorf("%+v", all)
	}
}

func TestClock(t *testing.T) {
	for ahead, want := range map[time.Duration]checkup.Severity{
		0: checkup.OK, -20 * time.Second: checkup.OK, 31 * time.Second: checkup.Warning, -2 * time.Minute: checkup.Warning, -6 * time.Minute: checkup.Problem,
	} {
		if f := checkup.Clock("its clock", ahead); f.Severity != want {
			t.Errorf("%s: %+v", ahead, f)
		}
	}
	if f := checkup.Clock("its clock", -time.Minute); f.Seen != "its clock is 1m0s behind ours" {
		t.Errorf("%+v", f)
	}
}

func TestReach(t *testing.T) {
	nothing := http.NotFoundHandler()
	plain, secure := httptest.NewServer(nothing), httptest.NewTLSServer(nothing)
	defer plain.Close()
	defer secure.Close()
	gone := httptest.NewServer(nothing)
	gone.Close()
	for _, test := range []struct{ name, url, seen string }{
		{"plain", plain.URL, ""},
		{"refused", gone.URL, "refuses connections"},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), "does not speak TLS"},
		{"not trusted", secure.URL, "not signed by an authority"},
		{"no such host", "http://no-such-host.invalid", "there is no host"},
	} {
		t.Run(test.name, func(t *testing.T) {
			u, err := url.Parse(test.url)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = checkup.Reach(t.Context(), u, nil)
			if test.seen == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("reached")
			}
			if seen, advice := checkup.Explain(u.Host, err, "trust it"); !strings.Contains(seen, test.seen) || advice == "" {
				if test.name == "no such host" && strings.Contains(seen, "DNS does not answer") {
					return // where tests have no DNS
				}
				t.Errorf("%q, %q for %v", seen, advice, err)
			}
		})
	}
	pool := secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	u, _ := url.Parse(secure.URL)
	if _, state, err := checkup.Reach(t.Context(), u, pool); err != nil || state == nil {
		t.Errorf("with its certificate trusted: %v", err)
	}
	for days, want := range map[int]checkup.Severity{-1: checkup.Problem, 3: checkup.Warning, 30: checkup.OK} {
		cert := secure.Certificate()
		if f := checkup.Certificate(cert, cert.NotAfter.AddDate(0, 0, -days)); f.Severity != want {
			t.Errorf("%d days: %+v", days, f)
		}
	}
}
