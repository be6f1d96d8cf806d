package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// renewal is how long before its end a token is renewed.
const renewal = 20 * time.Second

// login is how a registry wants its clients to log in: not at all, with Basic, or with docker's tokens.
type login struct {
	user, password string
	basic          bool
	realm, service string // of docker's tokens; empty if there are none

	http   *http.Client
	mu     sync.Mutex
	tokens map[string]token // by scope
}

// token is valid until it is renewed.
type token struct {
	header string
	until  time.Time
}

// challenge matches the parameters of a WWW-Authenticate header.
var challenge = regexp.MustCompile(`(\w+)="([^"]*)"`)

// newLogin asks the registry at base how it is done.
func newLogin(client *http.Client, base, user, password string) (*login, error) {
	resp, err := client.Get(base + "/v2/")
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	l := &login{user: user, password: password, http: client, tokens: map[string]token{}}
	if resp.StatusCode != http.StatusUnauthorized {
		return l, nil
	}
	scheme, rest, _ := strings.Cut(resp.Header.Get("WWW-Authenticate"), " ")
	switch strings.ToLower(scheme) {
	case "basic":
		l.basic = true
	case "bearer":
		for _, m := range challenge.FindAllStringSubmatch(rest, -1) {
			switch m[1] {
			case "realm":
				l.realm = m[2]
			case "service":
				l.service = m[2]
			}
		}
	default:
		return nil, fmt.Errorf("%s wants to be logged in to with %q", base, scheme)
	}
	return l, nil
}

// scope is what a token for requests about repo covers; those about no repository are about the catalog.
func scope(repo string) string {
	if repo == "" {
		return "registry:catalog:*"
	}
	return "repository:" + repo + ":pull,push,delete"
}

// authorize adds what the registry wants to see on a request of that scope. A token is asked for once and used until
// shortly before it expires, as clients do.
func (l *login) authorize(req *http.Request, scope string) error {
	if l.basic {
		req.SetBasicAuth(l.user, l.password)
		return nil
	}
	if l.realm == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tokens[scope]
	if time.Until(t.until) < renewal {
		var err error
		if t, err = l.fetch(scope); err != nil {
			return err
		}
		l.tokens[scope] = t
	}
	req.Header.Set("Authorization", t.header)
	return nil
}

// fetch gets a token.
func (l *login) fetch(scope string) (token, error) {
	q := url.Values{"service": {l.service}, "scope": {scope}}
	req, err := http.NewRequest(http.MethodGet, l.realm+"?"+q.Encode(), nil)
	if err != nil {
		return token{}, err
	}
	req.SetBasicAuth(l.user, l.password)
	resp, err := l.http.Do(req)
	if err != nil {
		return token{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return token{}, fmt.Errorf("GET %s: %s", l.realm, resp.Status)
	}
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return token{}, err
	}
	if answer.Token == "" {
		answer.Token = answer.AccessToken
	}
	// The protocol's default is a minute.
	if answer.ExpiresIn == 0 {
		answer.ExpiresIn = 60
	}
	return token{"Bearer " + answer.Token, time.Now().Add(time.Duration(answer.ExpiresIn) * time.Second)}, nil
}
