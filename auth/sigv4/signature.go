package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// sign is the signature that secret makes of a canonical request, in hexadecimal.
//
// The key for the scope is derived each time: four hashes of some bytes take less than
// looking it up under a lock would save.
func (c claim) sign(secret string, request []byte) string {
	key := []byte("AWS4" + secret)
	for _, part := range []string{c.scope.date, c.scope.region, c.scope.service, c.scope.terminator} {
		key = mac(key, part)
	}
	sum := sha256.Sum256(request)
	text := algorithm + "\n" + c.timestamp + "\n" + c.scope.String() + "\n" + hex.EncodeToString(sum[:])
	return hex.EncodeToString(mac(key, text))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
