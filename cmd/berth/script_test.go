package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"berth/auth/credhelper"
	"berth/registry"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/s3/s3test"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
	"berth/storage/queue"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"berth": main, credhelper.DockerName: main})
}

// TestScripts runs the program as its users do. The scripts are in testdata; besides
// testscript's own commands they have
//
//	ready                      wait until the server on $ADMIN is ready
//	request METHOD URL [USER:PASSWORD|bearer=TOKEN [FILE [NAME=VALUE]]]
//	                           print the status, headers and body of the answer;
//	                           FILE is the body of the request, NAME a header
//	signal TERM|HUP            send a signal to the server that was started last
//	job KIND [REASON]          add a job about no object to $BERTH_DATA, which has failed for REASON
//	scanonpush REPOSITORY      have images that are pushed to it scanned; it is made if need be
//	certificate NAME FILE KEY  write a certificate for NAME and its key
//	push REPOSITORY SEED       push the image of a seed to $ADDR, as admin
//	retag REPOSITORY SEED TAG  put another tag on an image that was pushed
//	found REPOSITORY SEED ID SEVERITY
//	                           have a vulnerability be found in an image that was pushed
//	scanner FILE               do the next scan of the registry in $BERTH_DATA, with the result in FILE
//	pull REPOSITORY SEED       pull it by its digest and compare every byte
//	database NAME              set $NAME to the URL of an empty database of a PostgreSQL
//	let NAME PATTERN           set $NAME to what the group of PATTERN matches in the last stdout
//	bucket NAME                set $NAME to the URL of an empty bucket of a versitygw
//
// and those of [roleCommands] and [databaseCommands].
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("commands come one after the other; the race detector makes them slow and finds nothing")
	}
	runScripts(t, testscript.Params{Dir: "testdata"})
}

// runScripts runs scripts with these commands.
func runScripts(t *testing.T, params testscript.Params) {
	// The servers last until all scripts have ended.
	postgres := sync.OnceValue(func() *pgtest.Server { return pgtest.Start(t) })
	s3 := sync.OnceValue(func() *s3test.Server { return s3test.Start(t) })
	commands := map[string]func(*testscript.TestScript, bool, []string){
		"ready":       scriptReady,
		"request":     scriptRequest,
		"job":         scriptJob,
		"scanonpush":  scriptScanOnPush,
		"certificate": scriptCertificate,
		"signal":      scriptSignal,
		"push":        scriptPush,
		"retag":       scriptRetag,
		"found":       scriptFound,
		"scanner":     scriptScanner,
		"pull":        scriptPull,
		"let":         scriptLet,
		"database":    scriptURL(func() string { return postgres().Database(t) }),
		"bucket":      scriptURL(func() string { return s3().URL(s3().Bucket(t)) }),
	}
	roleCommands(t, commands)
	databaseCommands(t, commands)
	params.Cmds = commands
	params.Setup = func(env *testscript.Env) error {
		env.Setenv("ADDR", freeAddr(t))
		env.Setenv("ADMIN", freeAddr(t))
		return nil
	}
	testscript.Run(t, params)
}

func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func scriptReady(ts *testscript.TestScript, neg bool, args []string) {
	url := "http://" + ts.Getenv("ADMIN") + "/readyz"
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(url)
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	ts.Fatalf("the server did not become ready")
}

func scriptSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
	background := ts.BackgroundCmds()
	if len(args) != 1 || signals[args[0]] == nil || len(background) == 0 {
		ts.Fatalf("usage: signal TERM|HUP, with a server in the background")
	}
	ts.Check(background[len(background)-1].Process.Signal(signals[args[0]]))
}

var scriptClient = &http.Client{
	Timeout: 20 * time.Second,
	// Each request looks at the certificate anew.
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
}

func scriptRequest(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: request METHOD URL [USER:PASSWORD|bearer=TOKEN [FILE [NAME=VALUE]]]")
	}
	var body io.Reader
	if len(args) > 3 {
		body = strings.NewReader(ts.ReadFile(args[3]))
	}
	req, err := http.NewRequest(args[0], args[1], body)
	ts.Check(err)
	if len(args) > 2 {
		if token, ok := strings.CutPrefix(args[2], "bearer="); ok {
			req.Header.Set("Authorization", "Bearer "+token)
		} else {
			user, password, _ := strings.Cut(args[2], ":")
			req.SetBasicAuth(user, password)
		}
	}
	if len(args) > 4 {
		name, value, _ := strings.Cut(args[4], "=")
		req.Header.Set(name, value)
	}
	resp, err := scriptClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	fmt.Fprintln(ts.Stdout(), resp.Status)
	if resp.TLS != nil {
		fmt.Fprintln(ts.Stdout(), "certificate of", resp.TLS.PeerCertificates[0].DNSNames[0])
	}
	ts.Check(resp.Header.Write(ts.Stdout()))
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
}

func scriptLet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: let NAME PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	m := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("no match for the group of %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// scriptURL sets a variable to where something new and empty is.
func scriptURL(made func() string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if len(args) != 1 {
			ts.Fatalf("give the name of one variable")
		}
		ts.Setenv(args[0], made())
	}
}

// scriptAsk asks the registry for something as admin, and wants an answer of status.
func scriptAsk(ts *testscript.TestScript, method, path, mediaType string, body []byte, status int) []byte {
	req, err := http.NewRequest(method, "http://"+ts.Getenv("ADDR")+"/v2/"+path, bytes.NewReader(body))
	ts.Check(err)
	req.Header.Set("Content-Type", mediaType)
	req.SetBasicAuth("admin", ts.Getenv("BERTH_ADMIN_PASSWORD"))
	resp, err := scriptClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != status {
		ts.Fatalf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	return answer
}

func scriptImage(ts *testscript.TestScript, args []string) (repo string, image registrytest.Image) {
	if len(args) != 2 {
		ts.Fatalf("usage: push|pull REPOSITORY SEED")
	}
	seed, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	return args[0], registrytest.Recipe{Seed: seed}.Image()
}

func scriptPush(ts *testscript.TestScript, neg bool, args []string) {
	repo, image := scriptImage(ts, args)
	for _, b := range image.Blobs {
		scriptAsk(ts, "POST", repo+"/blobs/uploads/?digest="+b.Digest.String(), "application/octet-stream", b.Bytes, http.StatusCreated)
	}
	scriptAsk(ts, "PUT", repo+"/manifests/v"+args[1], image.MediaType, image.Bytes, http.StatusCreated)
}

func scriptRetag(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: retag REPOSITORY SEED TAG")
	}
	repo, image := scriptImage(ts, args[:2])
	scriptAsk(ts, "PUT", repo+"/manifests/"+args[2], image.MediaType, image.Bytes, http.StatusCreated)
}

func scriptPull(ts *testscript.TestScript, neg bool, args []string) {
	repo, image := scriptImage(ts, args)
	if got := scriptAsk(ts, "GET", repo+"/manifests/"+image.Digest.String(), "", nil, http.StatusOK); !bytes.Equal(got, image.Bytes) {
		ts.Fatalf("the manifest has other bytes: %s", got)
	}
	for _, b := range image.Blobs {
		if got := scriptAsk(ts, "GET", repo+"/blobs/"+b.Digest.String(), "", nil, http.StatusOK); !bytes.Equal(got, b.Bytes) {
			ts.Fatalf("blob %s has other bytes, %d of them", b.Digest, len(got))
		}
	}
}

func scriptJob(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 && len(args) != 2 {
		ts.Fatalf("usage: job KIND [REASON]")
	}
	ctx := context.Background()
	data := ts.MkAbs(ts.Getenv("BERTH_DATA"))
	ts.Check(os.MkdirAll(data, 0o700))
	db, err := meta.Open(ctx, "sqlite:"+filepath.Join(data, "berth.db"), meta.Options{})
	ts.Check(err)
	defer func() { ts.Check(db.Close()) }()
	ts.Check(db.Update(ctx, func(tx *meta.Tx) error {
		key := blob.NewKey()
		return tx.Enqueue(ctx, queue.NewJob{Kind: args[0], Key: string(key), Payload: meta.Objects{Keys: []blob.Key{key}}})
	}))
	if len(args) == 2 {
		j, err := db.LeaseJob(ctx, args[:1], time.Minute)
		ts.Check(err)
		ts.Check(db.GiveUpJob(ctx, j, args[1]))
	}
}

func scriptScanOnPush(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: scanonpush REPOSITORY")
	}
	ctx := context.Background()
	db, err := meta.Open(ctx, "sqlite:"+filepath.Join(ts.MkAbs(ts.Getenv("BERTH_DATA")), "berth.db"), meta.Options{})
	ts.Check(err)
	defer func() { ts.Check(db.Close()) }()
	ts.Check(db.Update(ctx, func(tx *meta.Tx) error {
		r, _, err := tx.CreateRepository(ctx, registry.Name(args[0]), registry.Settings{})
		if err != nil {
			return err
		}
		return tx.PutSettings(ctx, r, registry.Settings{ScanOnPush: true})
	}))
}

func scriptCertificate(ts *testscript.TestScript, neg bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{args[0]},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	ts.Check(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	write := func(name, kind string, b []byte) {
		ts.Check(os.WriteFile(ts.MkAbs(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600))
	}
	write(args[1], "CERTIFICATE", cert)
	write(args[2], "PRIVATE KEY", der)
}
