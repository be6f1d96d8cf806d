package checkup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// Reach connects to the host of u, and for https shakes hands. What it returns of TLS
// is nil for http.
func Reach(ctx context.Context, u *url.URL, roots *x509.CertPool) (net.Addr, *tls.ConnectionState, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	dialer := net.Dialer{Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	if u.Scheme != "https" {
		return conn.RemoteAddr(), nil, nil
	}
	secure := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), RootCAs: roots, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		return conn.RemoteAddr(), nil, err
	}
	state := secure.ConnectionState()
	return conn.RemoteAddr(), &state, nil
}

// Explain says of an error on the way to a server what was seen, and what to do about
// it; trust is how to have a certificate trusted.
func Explain(host string, err error, trust string) (seen, advice string) {
	var name *net.DNSError
	var authority x509.UnknownAuthorityError
	var wrongHost x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Sprintf("there is no host named %s", name.Name), "correct the name, or add it to the DNS that this machine asks (/etc/resolv.conf)"
	case errors.As(err, &name):
		return fmt.Sprintf("the DNS does not answer for %s: %s", name.Name, name.Err), "see that the servers in /etc/resolv.conf can be reached"
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("%s refuses connections", host), "see that the server runs, that host and port are right, and that no firewall rejects them"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return fmt.Sprintf("there is no route to %s", host), "correct the address or the routes of this machine"
	case errors.As(err, &authority):
		return fmt.Sprintf("the certificate of %s is not signed by an authority that is trusted here, or its intermediate certificates are not sent", host), trust
	case errors.As(err, &wrongHost):
		return fmt.Sprintf("the certificate of %s is for other names: %s", host, strings.Join(wrongHost.Certificate.DNSNames, ", ")), "use one of these names, or get a certificate that has " + host
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the certificate of %s is not valid now, but from %s to %s", host, date(invalid.Cert.NotBefore), date(invalid.Cert.NotAfter)), "renew it, or correct the clock of this machine"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Sprintf("%s does not speak TLS", host), "write http:// instead of https://, or have the server speak TLS"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), timeout(err):
		return fmt.Sprintf("%s does not answer in time", host), "see that host and port are right, and that no firewall drops the packets"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return fmt.Sprintf("%s closes the connection", host), "see its log, and whether it expects http or https"
	}
	var request *url.Error // which repeats the URL
	if errors.As(err, &request) {
		err = request.Err
	}
	return fmt.Sprintf("%s: %v", host, err), "see the log of the server"
}

func timeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Certificate looks at how long the certificate of a server is valid.
func Certificate(cert *x509.Certificate, now time.Time) Finding {
	left := cert.NotAfter.Sub(now)
	days := int(left.Hours() / 24)
	seen := fmt.Sprintf("valid for %d days, until %s", days, date(cert.NotAfter))
	if left <= 0 {
		return Bad("expired on "+date(cert.NotAfter), "renew the certificate")
	}
	if days < 14 {
		return Warn(seen, "renew the certificate, and see why that has not happened by itself")
	}
	return Fine("%s", seen)
}

// Loopback reports whether a host of a URL is this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}
