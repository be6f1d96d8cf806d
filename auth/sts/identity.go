package sts

// callerIdentity is who has signed a request.
type callerIdentity struct {
	ARN     string `xml:"Arn"`
	UserID  string `xml:"UserId"`
	Account string
}

// getCallerIdentity takes no permission: who has signed knows it anyway.
func (c *call) getCallerIdentity() (any, error) {
	signed, err := c.signer()
	if err != nil {
		return nil, err
	}
	p := signed.Owner.Principal()
	return callerIdentity{p.ARN(c.opts.Location), p.UserID(), c.opts.Location.AccountID()}, nil
}
