package token

import "net/http"

// ServeKeys answers /.well-known/jwks.json: the public keys, with which others can
// verify tokens of this registry.
func (i *Issuer) ServeKeys(w http.ResponseWriter, r *http.Request) {
	if _, err := i.ring.signer(r.Context(), i.options.Clock()); err != nil {
		i.writeError(w, r, err)
		return
	}
	now := i.options.Clock()
	keys := []jwk{}
	known, _ := i.ring.known()
	for _, k := range known {
		if i.ring.spent(k, now) {
			continue
		}
		public, err := publicJWK(&k.private.PublicKey)
		if err != nil {
			i.writeError(w, r, err)
			return
		}
		keys = append(keys, public)
	}
	// A key is published for longer than this before it signs.
	w.Header().Set("Cache-Control", "public, max-age=60")
	_ = writeJSON(w, http.StatusOK, struct {
		Keys []jwk `json:"keys"`
	}{keys}) // a client that went away misses it
}
