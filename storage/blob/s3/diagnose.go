package s3

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"berth/storage/blob"
	"berth/storage/checkup"
)

// Diagnosis is what [Diagnose] has to know of how the bucket is used.
type Diagnosis struct {
	UploadExpiry time.Duration // after which nobody goes on with an upload
	Redirect     bool          // clients are sent to the bucket
}

// Diagnose checks whether the bucket can be used as the options say. It makes objects
// under <prefix>/doctor/ and removes them again. The error is one of the options.
func Diagnose(ctx context.Context, o Options, d Diagnosis, checks *checkup.Checks) error {
	x := &examination{options: o, Diagnosis: d, checks: checks}
	answers := &witness{}
	next := o.Transport
	o.Transport = func(r http.RoundTripper) http.RoundTripper {
		if next != nil {
			r = next(r)
		}
		answers.next = r
		return answers
	}
	x.answers = answers
	var err error
	if x.store, err = Open(ctx, o); err != nil {
		return err
	}
	if x.roots, err = trusted(o.CA); err != nil {
		return err
	}
	defer x.store.Close(ctx)
	x.folder = strings.TrimSuffix(x.store.prefix, "blobs/") + "doctor/" + string(blob.NewKey()) + "/"

	x.checkServer(ctx)
	defer x.clear()
	x.checkObjects(ctx)
	x.checkMultipart(ctx)
	x.checkBucket(ctx)
	checks.Do(ctx, "s3 delete", x.remove, "s3 put")
	return nil
}

// examination is a run of Diagnose.
type examination struct {
	Diagnosis
	options Options
	store   *Store
	roots   *x509.CertPool
	checks  *checkup.Checks
	answers *witness
	folder  string // under which it makes objects

	access error // what came of the first request

	mu     sync.Mutex
	made   []string // objects to be removed
	plain  bool     // checksums are refused
	upload string   // the multipart upload under way
	parts  []minio.CompletePart
}

// witness sees what answers tell besides what they are asked.
type witness struct {
	next http.RoundTripper

	mu     sync.Mutex
	ahead  time.Duration // the clock of the server
	dated  bool
	region string
}

func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := time.Now()
	answer, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		// It is cut off to the second, and was written somewhere between question and answer.
		w.ahead = date.Add(500 * time.Millisecond).Sub(asked.Add(time.Since(asked) / 2))
		w.dated = true
	}
	if region := answer.Header.Get("X-Amz-Bucket-Region"); region != "" {
		w.region = region
	}
	return answer, nil
}

func (w *witness) seen() (ahead time.Duration, dated bool, region string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ahead, w.dated, w.region
}

// checkServer goes from the host to the leave to list objects.
func (x *examination) checkServer(ctx context.Context) {
	c := x.checks
	c.Do(ctx, "s3 endpoint", x.endpoint)
	c.DoWithin(ctx, 30*time.Second, "s3 credentials", x.credentials, "s3 endpoint")
	c.DoWithin(ctx, 30*time.Second, "s3 path style", x.pathStyle, "s3 credentials")
	c.Do(ctx, "s3 clock", x.clock, "s3 path style")
	c.Do(ctx, "s3 keys", x.keys, "s3 path style", "s3 clock")
	c.Do(ctx, "s3 region", x.region, "s3 keys")
	c.Do(ctx, "s3 bucket", x.bucket, "s3 region")
	c.Do(ctx, "s3 list", x.list, "s3 bucket")
}

func (x *examination) endpoint(ctx context.Context) checkup.Finding {
	host, secure, err := x.options.endpoint()
	if err != nil {
		return checkup.Bad(err.Error(), "correct endpoint= in --storage")
	}
	u := &url.URL{Scheme: "http", Host: host}
	if secure {
		u.Scheme = "https"
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
		return checkup.Fine("%s is reached through the proxy %s of the environment", u, proxy.Redacted())
	}
	addr, state, err := checkup.Reach(ctx, u, x.roots)
	if err != nil {
		seen, advice := checkup.Explain(u.Host, err, "name the file of its authority with ca=FILE in --storage")
		return checkup.Bad(seen, advice)
	}
	if state == nil {
		return checkup.Fine("%s (%s) is reached, without TLS", u, addr)
	}
	f := checkup.Certificate(state.PeerCertificates[0], time.Now())
	f.Seen = fmt.Sprintf("%s (%s) is reached; its certificate is %s", u, addr, f.Seen)
	return f
}

// credentials finds the keys; whether they are good is seen later.
func (x *examination) credentials(ctx context.Context) checkup.Finding {
	value, err := x.options.credentials().GetWithContext(x.store.client.CredContext())
	if err != nil {
		return checkup.Bad("no keys are found: "+err.Error(), "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role")
	}
	if value.AccessKeyID == "" {
		return checkup.Bad("no keys are found in --storage, the environment, ~/.aws/credentials or a role of the machine",
			"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role")
	}
	if !value.Expiration.IsZero() {
		return checkup.Fine("the access key is %s, good until %s and renewed by itself", value.AccessKeyID, value.Expiration.UTC().Format(time.RFC3339))
	}
	return checkup.Fine("the access key is %s", value.AccessKeyID)
}

// probe asks for one object.
func probe(ctx context.Context, c *client, prefix string) error {
	ctx, cancel := context.WithCancel((&call{kind: List}).with(ctx))
	defer cancel()
	for o := range c.ListObjectsIter(ctx, c.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, MaxKeys: 1}) {
		return o.Err
	}
	return nil
}

// pathStyle makes the first request, and if that fails the same in the other style.
func (x *examination) pathStyle(ctx context.Context) checkup.Finding {
	const inPath, inHost = "the bucket is named in the path", "the bucket is named in the host"
	seen := map[string]string{"on": inPath, "off": inHost}[x.options.PathStyle]
	if seen == "" {
		seen = "chosen by the endpoint"
	}
	x.access = probe(ctx, x.store.client, x.store.prefix)
	if x.access == nil {
		return checkup.Fine("%s", seen)
	}
	for _, other := range []string{"on", "off"} {
		if other == x.options.PathStyle {
			continue
		}
		o := x.options
		o.PathStyle = other
		o.complete()
		c, err := newClient(o)
		if err != nil {
			continue
		}
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		err = probe(short, c, x.store.prefix)
		cancel()
		if err == nil {
			return checkup.Bad(fmt.Sprintf("the server answers only if %s", map[string]string{"on": inPath, "off": inHost}[other]), "set path-style="+other+" in --storage")
		}
	}
	if answer := minio.ToErrorResponse(x.access); answer.StatusCode == 0 {
		host, _, _ := x.options.endpoint()
		seen, advice := checkup.Explain(host, x.access, "name the file of its authority with ca=FILE in --storage")
		return checkup.Bad(seen, advice)
	} else if answer.Code == "" || strings.HasPrefix(answer.Code, fmt.Sprint(answer.StatusCode)) {
		return checkup.Bad(fmt.Sprintf("the endpoint does not answer like S3, but with %d", answer.StatusCode), "see that endpoint= names the S3 API, and not a console or another service")
	}
	return checkup.Fine("%s", seen)
}

func (x *examination) clock(context.Context) checkup.Finding {
	ahead, dated, _ := x.answers.seen()
	f := checkup.Clock("the server's clock", ahead)
	if x.code("RequestTimeTooSkewed", "RequestExpired") && f.Severity != checkup.Problem {
		return checkup.Bad("the server says that our clock is wrong", "keep the clocks of both machines right with NTP (timedatectl set-ntp true)")
	}
	if !dated {
		return checkup.Fine("answers have no date")
	}
	return f
}

// code reports whether the first request failed with one of the codes.
func (x *examination) code(codes ...string) bool {
	for _, code := range codes {
		if is(x.access, 0, code) {
			return true
		}
	}
	return false
}

func (x *examination) keys(context.Context) checkup.Finding {
	switch {
	case x.code("InvalidAccessKeyId", "XAdminUserNotFound"):
		return checkup.Bad("the server does not know the access key", "correct it; AWS_ACCESS_KEY_ID is used unless --storage has one")
	case x.code("SignatureDoesNotMatch"):
		return checkup.Bad("the secret key does not go with the access key", "correct it (in --storage a slash is %2F); if it is right, a proxy in front of the server changes requests, such as the Host header")
	case x.code("ExpiredToken", "ExpiredTokenException"):
		return checkup.Bad("the session of the keys has expired", "use keys that do not expire, or a role of the machine, which is renewed by itself")
	case x.code("InvalidToken", "TokenRefreshRequired", "AccountProblem", "NotSignedUp", "InvalidSecurity"):
		return checkup.Bad("the server refuses the keys: "+tell(x.access), "get new ones")
	}
	return checkup.Fine("the server knows them")
}

func (x *examination) region(ctx context.Context) checkup.Finding {
	ours := x.options.Region
	_, _, told := x.answers.seen()
	var answer minio.ErrorResponse
	if errors.As(x.access, &answer) && answer.Region != "" {
		told = answer.Region
	}
	wrong := x.code("AuthorizationHeaderMalformed", "PermanentRedirect", "InvalidRegion", "TemporaryRedirect", "IllegalLocationConstraintException") ||
		is(x.access, http.StatusMovedPermanently, "")
	switch {
	case told != "" && ours != "" && told != ours:
		return checkup.Bad(fmt.Sprintf("the bucket is in %s, not in %s", told, ours), "set region="+told+" in --storage")
	case wrong && told != "":
		return checkup.Bad("the bucket is in "+told, "set region="+told+" in --storage, and an endpoint there")
	case wrong:
		return checkup.Bad("the region or the endpoint is wrong: "+tell(x.access), "set region= in --storage to that of the bucket")
	case ours == "":
		if told, _ = x.store.client.GetBucketLocation(ctx, x.store.client.bucket); told == "" {
			return checkup.Fine("the server is asked for it")
		}
		return checkup.Fine("%s, as the server says", told)
	}
	return checkup.Fine("%s", ours)
}

func (x *examination) bucket(context.Context) checkup.Finding {
	name := x.store.client.bucket
	if x.code("NoSuchBucket", "InvalidBucketName") {
		create := "aws s3 mb s3://" + name
		if x.options.Endpoint != "" {
			create += " --endpoint-url " + x.store.client.EndpointURL().String()
		}
		return checkup.Bad("there is no bucket "+name, "create it: "+create)
	}
	return checkup.Fine("%s is there", name)
}

func (x *examination) list(context.Context) checkup.Finding {
	if x.access != nil {
		return x.refused("s3:ListBucket", x.access)
	}
	return checkup.Fine("objects under %s can be listed", x.store.prefix)
}

// refused says of an error that the leave to do something is missing, or what else it
// is.
func (x *examination) refused(action string, err error) checkup.Finding {
	resource := "arn:aws:s3:::" + x.store.client.bucket
	if !strings.HasPrefix(action, "s3:ListBucket") {
		resource += "/" + strings.TrimSuffix(x.store.prefix, "blobs/") + "*"
	}
	switch {
	case denied(err):
		advice := "allow " + action + " on " + resource
		if x.options.SSE == "kms" {
			advice += ", and kms:GenerateDataKey and kms:Decrypt on the key"
		}
		return checkup.Bad(action+" is denied", advice)
	case is(err, http.StatusNotImplemented, "NotImplemented"), is(err, http.StatusMethodNotAllowed, "MethodNotAllowed"):
		return checkup.Bad("the server does not support it: "+tell(err), "use another S3 server, or see whether a proxy in front of it lets the request through")
	case errors.Is(meaning(err), blob.ErrFull):
		return checkup.Bad("the bucket is full: "+tell(err), "raise its quota")
	case is(err, 0, "InvalidStorageClass"):
		return checkup.Bad("the server does not know the storage class "+x.options.StorageClass, "correct storage-class= in --storage")
	case is(err, 0, "SignatureDoesNotMatch"):
		return checkup.Bad("something changes the request on its way, as its signature does not fit", "if a proxy in front of the server removes or changes headers, have it pass them on")
	case errors.Is(err, context.DeadlineExceeded):
		return checkup.Bad("no answer in time", "see the log of the server, and whether a proxy in front of it holds requests back")
	}
	return checkup.Bad(tell(err), "see the log of the server")
}

// denied reports whether the keys are good and not enough. Servers answer 403 also to
// keys that are not good.
func denied(err error) bool {
	var answer minio.ErrorResponse
	return errors.As(err, &answer) &&
		(answer.Code == "AccessDenied" || answer.StatusCode == http.StatusForbidden && (answer.Code == "Forbidden" || answer.Code == "AllAccessDisabled"))
}

// tell says what the server said.
func tell(err error) string {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return err.Error()
	}
	return fmt.Sprintf("%s (%d): %s", answer.Code, answer.StatusCode, strings.Join(strings.Fields(answer.Message), " "))
}
