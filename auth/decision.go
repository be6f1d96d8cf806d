package auth

// Policies are those that a request is put to.
type Policies struct {
	Identity   []*Policy // attached to who asks
	Registry   *Policy   // of the registry, nil if it has none
	Repository *Policy   // of the repository asked for, nil if it has none
}

// Decision is the answer of the policies to a request, and which statement gave it.
type Decision struct {
	Allowed   bool
	Explicit  bool       // a statement said so; otherwise nothing allowed it
	Kind      PolicyKind // of the policy that decided
	Policy    string     // its name, if it has one
	Statement string     // its statement: the Sid, or "#1" for the first

	// unseen says that the policy of the repository denies what nothing else allows. Who
	// is refused must not learn from it that there is such a repository.
	unseen bool
}

// Decide gives the answer of IAM: a statement that denies wins over all that allow, and
// what no statement allows is denied. Within the registry's account it is enough that
// an identity policy or one of the resource's allows it; to those of other accounts
// both must. What concerns the registry itself is for identity policies alone. It
// looks at nothing but its arguments. An action that is not one of [Actions] is denied.
func Decide(p Policies, r Request) Decision {
	action, known := actionIndex[r.Action]
	if !known {
		return Decision{}
	}
	var own, granted Decision // by policies of who asks, and by those of what is asked for
	for _, q := range p.Identity {
		if q.judge(action, &r, &own) {
			return own
		}
	}
	if r.Repo != "" && p.Registry != nil && p.Registry.judge(action, &r, &granted) {
		return granted
	}
	if r.Repo != "" && p.Repository != nil {
		unseen := !own.Allowed && !granted.Allowed
		if p.Repository.judge(action, &r, &granted) {
			granted.unseen = unseen
			return granted
		}
	}
	switch {
	case r.foreign() && !(own.Allowed && granted.Allowed):
		return Decision{}
	case own.Allowed && !r.foreign():
		return own
	}
	return granted
}
