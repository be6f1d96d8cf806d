package auth

// AccountID is the twelve digits that stand for the registry.
func (l Location) AccountID() string { return l.account() }

// RegionName is the region that the registry is in.
func (l Location) RegionName() string { return l.region() }

// IdentityARN is the ARN of the account or, of who has assumed a role, of the role, which
// stays the same from session to session. Nobody has none.
func (p Principal) IdentityARN(l Location) string { return p.identityARN(l) }
