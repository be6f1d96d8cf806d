package s3

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What the zero values in [Options] mean.
const (
	DefaultMemory      = 256 << 20
	MinMemory          = 64 << 20
	DefaultTimeout     = time.Minute
	DefaultMaxRequests = 256
)

// Options say which bucket, and how to get along with it. Bucket is all that most need.
type Options struct {
	Bucket string
	Prefix string // objects lie at <Prefix>/blobs/<key>; may be empty

	Endpoint  string // host[:port], with http:// or https:// before it or not; empty means AWS
	Region    string // empty: the server is asked
	PathStyle string // "on": bucket in the path; "off": in the name of the host; "auto" or empty: by the endpoint

	// AccessKey and SecretKey are used if they are set. Otherwise the environment (AWS_*,
	// then MINIO_*), the shared credentials file of AWS and the role of the machine, task
	// or service account are asked, in this order.
	AccessKey, SecretKey string

	CA           string // a file of PEM certificates that are trusted besides those of the system
	SSE          string // "", "s3" or "kms": what the server encrypts objects with
	KMSKey       string // the key for "kms"; empty means that of the bucket
	StorageClass string // empty: that of the bucket
	NoChecksum   bool   // no CRC-32C; for servers that do not take it

	Timeout     time.Duration // of a request; a body that is read only has to move within it
	MaxRate     float64       // requests a second; zero: no limit
	MaxRequests int           // requests at once

	// Memory is how many bytes all writers together hold that S3 has not got yet. Once
	// they are used up, writers wait. MinMemory is the least.
	Memory int64

	// Observe is told of each request. It is called from many goroutines.
	Observe func(Operation)

	Logger *slog.Logger

	// Transport may put something around what makes the requests.
	Transport func(http.RoundTripper) http.RoundTripper
}

// ParseURL reads options as they stand in a configuration:
//
//	s3://bucket/prefix?endpoint=https://minio.example:9000&region=eu-west-1
//	s3://ACCESS:SECRET@bucket?path-style=on&sse=kms&kms-key=alias/berth
//
// The parameters are endpoint, region, path-style (auto, on, off), ca, sse (s3, kms),
// kms-key, storage-class, checksum (crc32c, none), timeout, max-rate, max-requests and
// memory (bytes, or with MiB or GiB). No error repeats the URL, because the secret may
// be in it.
func ParseURL(raw string) (Options, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) && !strings.Contains(parse.Err.Error(), "userinfo") && !strings.Contains(parse.Err.Error(), "port") {
			return Options{}, errors.New("blob/s3: the URL of the bucket is malformed")
		}
		return Options{}, errors.New("blob/s3: the URL of the bucket is malformed; special characters in its keys have to be escaped, a slash as %2F")
	}
	if u.Scheme != "s3" || u.Host == "" || u.Port() != "" || u.Opaque != "" || u.Fragment != "" {
		return Options{}, errors.New("blob/s3: the URL of a bucket looks like s3://bucket/prefix")
	}
	o := Options{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	if u.User != nil {
		o.AccessKey = u.User.Username()
		o.SecretKey, _ = u.User.Password()
		if o.AccessKey == "" || o.SecretKey == "" {
			return Options{}, errors.New("blob/s3: the URL of the bucket has one of its two keys only")
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Options{}, errors.New("blob/s3: the parameters of the URL of the bucket are malformed")
	}
	for name, values := range query {
		set := parameters[name]
		if set == nil {
			return Options{}, fmt.Errorf("blob/s3: the URL of the bucket has an unknown parameter %q", name)
		}
		if len(values) > 1 {
			return Options{}, fmt.Errorf("blob/s3: the URL of the bucket has %s twice", name)
		}
		if err := set(&o, values[0]); err != nil {
			return Options{}, fmt.Errorf("blob/s3: %s in the URL of the bucket: %w", name, err)
		}
	}
	return o, o.check()
}

var parameters = map[string]func(*Options, string) error{
	"endpoint":      func(o *Options, v string) error { o.Endpoint = v; return nil },
	"region":        func(o *Options, v string) error { o.Region = v; return nil },
	"ca":            func(o *Options, v string) error { o.CA = v; return nil },
	"sse":           func(o *Options, v string) error { o.SSE = v; return nil },
	"kms-key":       func(o *Options, v string) error { o.KMSKey = v; return nil },
	"storage-class": func(o *Options, v string) error { o.StorageClass = v; return nil },

	"path-style": func(o *Options, v string) error {
		switch v {
		case "true":
			v = "on"
		case "false":
			v = "off"
		}
		o.PathStyle = v
		return nil
	},
	"checksum": func(o *Options, v string) error {
		o.NoChecksum = v == "none"
		return oneOf(v, "crc32c", "none")
	},
	"timeout":      func(o *Options, v string) (err error) { o.Timeout, err = time.ParseDuration(v); return err },
	"max-rate":     func(o *Options, v string) (err error) { o.MaxRate, err = strconv.ParseFloat(v, 64); return err },
	"max-requests": func(o *Options, v string) (err error) { o.MaxRequests, err = strconv.Atoi(v); return err },
	"memory":       func(o *Options, v string) (err error) { o.Memory, err = parseBytes(v); return err },
}

// check finds what cannot be meant.
func (o *Options) check() error {
	bad := func(name string, err error) error { return fmt.Errorf("blob/s3: %s: %w", name, err) }
	if err := oneOf(o.PathStyle, "", "auto", "on", "off"); err != nil {
		return bad("path-style", err)
	}
	if err := oneOf(o.SSE, "", "s3", "kms"); err != nil {
		return bad("sse", err)
	}
	switch {
	case o.Bucket == "":
		return bad("bucket", errors.New("there has to be one"))
	case (o.AccessKey == "") != (o.SecretKey == ""):
		return bad("keys", errors.New("the access key and the secret key go together"))
	case o.KMSKey != "" && o.SSE != "kms":
		return bad("kms-key", errors.New("goes with sse=kms"))
	case o.Timeout < 0 || o.Timeout > 0 && o.Timeout < 100*time.Millisecond:
		return bad("timeout", errors.New("is too short"))
	case o.MaxRate < 0 || o.MaxRate > 0 && o.MaxRate < 1:
		return bad("max-rate", errors.New("is too low"))
	case o.MaxRequests < 0:
		return bad("max-requests", errors.New("is negative"))
	case o.Memory != 0 && o.Memory < MinMemory:
		return bad("memory", fmt.Errorf("has to be %d bytes or more", MinMemory))
	}
	return nil
}

// complete puts in what zero values mean.
func (o *Options) complete() {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxRequests == 0 {
		o.MaxRequests = DefaultMaxRequests
	}
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	if o.Observe == nil {
		o.Observe = func(Operation) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// endpoint is what to dial, without a scheme, and whether over TLS.
func (o *Options) endpoint() (host string, secure bool, err error) {
	if o.Endpoint == "" {
		return "s3.amazonaws.com", true, nil
	}
	scheme, host, found := strings.Cut(o.Endpoint, "://")
	if !found {
		scheme, host = "https", o.Endpoint
	}
	host = strings.TrimSuffix(host, "/")
	if host == "" || strings.ContainsAny(host, "/?#@") {
		return "", false, errors.New("blob/s3: the endpoint has to be a host, with a port or without")
	}
	return host, scheme == "https", oneOf(scheme, "http", "https")
}

// SamePlace reports whether both options name the same prefix of the same bucket. Two
// names of one server are not seen to be one, but for those of AWS.
func (o Options) SamePlace(other Options) bool {
	return o.Bucket == other.Bucket && strings.Trim(o.Prefix, "/") == strings.Trim(other.Prefix, "/") && o.server() == other.server()
}

// server is the host of the endpoint and its port, in the same words for all of AWS,
// where a bucket has its name alone.
func (o *Options) server() string {
	host, secure, err := o.endpoint()
	if err != nil {
		return o.Endpoint
	}
	host = strings.ToLower(host)
	if strings.HasSuffix(host, ".amazonaws.com") {
		return "amazonaws.com"
	}
	port := ":80"
	if secure {
		port = ":443"
	}
	return strings.TrimSuffix(host, port)
}

func oneOf(v string, allowed ...string) error {
	if slices.Contains(allowed, v) {
		return nil
	}
	return fmt.Errorf("%q is none of %s", v, strings.Join(slices.DeleteFunc(allowed, func(s string) bool { return s == "" }), ", "))
}

func parseBytes(v string) (int64, error) {
	unit := int64(1)
	for suffix, size := range map[string]int64{"MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, found := strings.CutSuffix(v, suffix); found {
			v, unit = rest, size
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 || n > 1<<62/unit {
		return 0, errors.New("is no number of bytes")
	}
	return n * unit, nil
}
