package sigv4_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"berth/auth/sigv4"
)

// TestPayload is about x-amz-content-sha256, which ECR's clients do not send.
func TestPayload(t *testing.T) {
	for _, test := range []struct {
		name, said string
		secure     bool
		text       string
	}{
		{"the hash", hash(describe), false, ""},
		{"another hash", hash(""), false, "The provided 'x-amz-content-sha256' header does not match what was computed."},
		{"the hash in capitals", strings.ToUpper(hash(describe)), false, "does not match what was computed"},
		{"unsigned over TLS", "UNSIGNED-PAYLOAD", true, ""},
		{"unsigned", "UNSIGNED-PAYLOAD", false, "only over TLS"},
		{"chunks", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", true, "signatures of chunks are not read here"},
		{"unsigned chunks", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", true, "signatures of chunks are not read here"},
	} {
		r := describing(t)
		r.Header.Set("X-Amz-Content-Sha256", test.said)
		signWithPayload(t, r, test.said)
		r, body := arrive(t, r)
		if test.secure {
			r.TLS = &tls.ConnectionState{}
		}
		_, err := newVerifier().Verify(r, body)
		if test.text == "" {
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		wantRefused(t, test.name, err, sigv4.InvalidSignature, test.text)
	}
	r := describing(t)
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	signWithPayload(t, r, "UNSIGNED-PAYLOAD")
	r, body := arrive(t, r)
	v := newVerifier()
	v.Secure = func(*http.Request) bool { return true }
	if _, err := v.Verify(r, body); err != nil {
		t.Errorf("behind a proxy that speaks TLS: %v", err)
	}
	// Signed as unsigned, but without saying so in a signed header.
	r = describing(t)
	signWithPayload(t, r, "UNSIGNED-PAYLOAD")
	r, body = arrive(t, r)
	r.TLS = &tls.ConnectionState{}
	_, err := newVerifier().Verify(r, body)
	wantRefused(t, "unsigned in secret", err, sigv4.InvalidSignature, "does not match the signature")
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	_, err = newVerifier().Verify(r, body)
	wantRefused(t, "unsigned, in a header that is not signed", err, sigv4.InvalidSignature, "'x-amz-content-sha256' must be a 'SignedHeader'")
	// In the query it means something to a presigned request alone.
	r = describing(t)
	r.URL.RawQuery = "X-Amz-Content-Sha256=UNSIGNED-PAYLOAD"
	sign(t, r, describe, lasting, "ecr", now)
	r, body = arrive(t, r)
	r.TLS = &tls.ConnectionState{}
	if _, err := newVerifier().Verify(r, body); err != nil {
		t.Errorf("a parameter of this name: %v", err)
	}
	_, err = newVerifier().Verify(r, nil)
	wantRefused(t, "another body", err, sigv4.InvalidSignature, "does not match the signature")
}
