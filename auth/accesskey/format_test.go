package accesskey_test

import (
	"encoding/hex"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"berth/auth/accesskey"
)

// A key and a session that were made when this was written.
const (
	oldID     = "AKIAGHSG75IGV2CVDIUI"
	oldSecret = "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"
	oldSealed = "0139640e85d781d795ca076869f3ab3c2567d1a9f5430d4b96904ffb5f5a3a96ded779cd184f8d47f0b318dcc09f7903e9f2e09dbb4afc2fa813ad144ec864dfb31fa076e4cbe24c0787d5870a"

	oldSession       = "ASIAZTNGH5CZ4QVWQGVU"
	oldSessionSecret = "WLZFBU4QYTP5ZRL3ZCI57DYXAG4VYY3BR2SN3HDD"
	oldToken         = "ATlkDoXXgdeVCA3Imz1usvMefnCKdfm5MBGmCS0MYVsb2J4tuYUa8GH5EmFa3rCKHINRlD8qY98aOymkDY1YRy9_ZESkqiGvEqd8UUwqy-6bQiRjvzQHTMtJjIJ3bgcfDK9Ykv99e3QleZuJiHuSaLviHESzRZBGmW30kf8t1EHpP9N8vM1hGNSsWvWdl-HoAfesUV7gY3I9dg8aDQx1AfuGRvLIW6E"
)

// TestFormat: what was sealed once has to open for as long as there are such keys.
func TestFormat(t *testing.T) {
	w := newWorld(t)
	sealed, err := hex.DecodeString(oldSealed)
	must(t, err)
	must(t, w.store.CreateAccessKey(t.Context(), accesskey.Key{ID: oldID, Account: "alice", Sealed: sealed}, 2))
	w.wantOwner(t, "a key", aws.Credentials{AccessKeyID: oldID, SecretAccessKey: oldSecret}, "alice")
	w.wantOwner(t, "a session", aws.Credentials{AccessKeyID: oldSession, SecretAccessKey: oldSessionSecret, SessionToken: oldToken}, "alice")
}
