package oidc

import (
	"encoding/json"
	"strconv"

	"github.com/golang-jwt/jwt/v5"

	"berth/auth"
)

// identity is what a token says that was verified.
func identity(issuer string, claims jwt.MapClaims) (auth.WebIdentity, error) {
	who := auth.WebIdentity{Issuer: issuer, Claims: make(map[string][]string, len(claims))}
	for name, value := range claims {
		if texts := textsOf(value); len(texts) > 0 {
			who.Claims[name] = texts
		}
	}
	who.Subject, _ = claims["sub"].(string)
	if who.Subject == "" {
		return who, refuse(Invalid, "The token has no sub, whose it is")
	}
	audience, err := claims.GetAudience()
	if err != nil || len(audience) == 0 {
		return who, refuse(Invalid, "The token has no aud, for whom it is")
	}
	who.Audience = audience
	return who, nil
}

// textsOf are the values of a claim. Objects, and lists that have other things than
// scalars, have none.
func textsOf(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case json.Number:
		return []string{v.String()}
	case bool:
		return []string{strconv.FormatBool(v)}
	case []any:
		var texts []string
		for _, element := range v {
			text := textsOf(element)
			if _, list := element.([]any); list || len(text) != 1 {
				return nil
			}
			texts = append(texts, text[0])
		}
		return texts
	}
	return nil
}
