package token

// Remembered counts the verified tokens that are remembered.
func (i *Issuer) Remembered() int { return i.verified.Len() }
