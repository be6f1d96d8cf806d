package database

import (
	"fmt"

	"berth/scan"
)

// The media types of the artifacts.
const (
	configType = "application/vnd.aquasec.trivy.config.v1+json"
	layerType  = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
	javaType   = "application/vnd.aquasec.trivy.javadb.layer.v1.tar+gzip"
)

// form is what the databases of a kind look like.
type form struct {
	kind      scan.DatabaseKind
	mediaType string // of the layer
	file      string // in it, beside metadataFile
	archive   string // what the layer is called as a file
	cache     string // the folder that Trivy keeps it in
	version   int    // of the schema, the only one that there is a scanner for
	begins    func(page []byte, size int64) error
}

const metadataFile = "metadata.json"

var forms = []form{
	{scan.Vulnerabilities, layerType, "trivy.db", "db.tar.gz", "db", 2, checkBolt},
	{scan.Java, javaType, "trivy-java.db", "javadb.tar.gz", "java-db", 1, checkSQLite},
}

func formOf(kind scan.DatabaseKind) form {
	for _, f := range forms {
		if f.kind == kind {
			return f
		}
	}
	panic(fmt.Sprintf("no such kind of databases: %q", kind))
}

// Name is what people call the databases of a kind.
func Name(kind scan.DatabaseKind) string {
	if kind == scan.Java {
		return "Java index"
	}
	return "vulnerability database"
}
