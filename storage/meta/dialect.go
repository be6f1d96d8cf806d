package meta

// dialect is where databases differ. Everything else is written once.
type dialect interface {
	// schemaTypes are the words that migrations leave open.
	schemaTypes() schemaTypes

	// rebind turns the ? of our statements into what the driver expects.
	rebind(query string) string

	// begin starts a transaction that will write.
	begin() string

	// translate turns what a driver says into an error of the registry, where there
	// is one that fits.
	translate(err error) error
}

// schemaTypes are the column types that have different names.
type schemaTypes struct {
	ID    string // a primary key that counts by itself
	Text  string // a string that sorts by its bytes
	Bytes string

	// Clustered ends a table that is best kept in the order of its primary key: one
	// tree less to write where the database would keep rows and key apart.
	Clustered string
}
