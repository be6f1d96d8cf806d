package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"berth/registry"
	"berth/registry/engine"
	"berth/scan"
	"berth/scan/database"
	"berth/storage/meta"
)

// scanDBCommand is about the databases that images are scanned with.
type scanDBCommand struct {
	Import scanDBImport `cmd:"" help:"Bring a vulnerability database or a Java index into the registry, from a file or another registry."`
	Status scanDBStatus `cmd:"" help:"Say how old the databases are, and how fetching newer ones goes."`
	Update scanDBUpdate `cmd:"" help:"Fetch newer databases now. A running server does so by itself."`
}

// databasePlaces say where vulnerability databases are kept.
type databasePlaces struct {
	ScanDBRepository     string `name:"scan-db-repository" default:"berth/trivy-db" placeholder:"REPO" help:"Repository of this registry that vulnerability databases are kept in, where scanners pull them from."`
	ScanJavaDBRepository string `name:"scan-java-db-repository" default:"berth/trivy-java-db" placeholder:"REPO" help:"Likewise of the Java index, by which jar files are recognised."`
}

// importer is what brings databases in.
func (f databasePlaces) importer(e *engine.Engine, db *meta.DB, log *slog.Logger) (*database.Importer, error) {
	i := &database.Importer{Registry: e, Store: db, Logger: log, Repositories: map[scan.DatabaseKind]registry.Name{}}
	for _, place := range []struct {
		kind       scan.DatabaseKind
		flag, name string
	}{
		{scan.Vulnerabilities, "scan-db-repository", f.ScanDBRepository},
		{scan.Java, "scan-java-db-repository", f.ScanJavaDBRepository},
	} {
		name, err := registry.ParseName(place.name)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", place.flag, err)
		}
		i.Repositories[place.kind] = name
	}
	return i, nil
}

// databaseSources say where newer vulnerability databases are fetched from.
type databaseSources struct {
	ScanDB     string `name:"scan-db" default:"mirror.gcr.io/aquasec/trivy-db:2" placeholder:"REF|off" help:"Where newer vulnerability databases are fetched from as long as anything is scanned, with the credentials of docker (docker login); http://… without TLS."`
	ScanJavaDB string `name:"scan-java-db" default:"mirror.gcr.io/aquasec/trivy-java-db:1" placeholder:"REF|off" help:"Likewise of the Java index."`
}

// references are the sources that are not off.
func (f databaseSources) references() (map[scan.DatabaseKind]string, error) {
	all := map[scan.DatabaseKind]string{}
	for _, source := range []struct {
		kind            scan.DatabaseKind
		flag, reference string
	}{{scan.Vulnerabilities, "scan-db", f.ScanDB}, {scan.Java, "scan-java-db", f.ScanJavaDB}} {
		if source.reference == "off" {
			continue
		}
		if _, err := database.ParseReference(source.reference, ""); err != nil {
			return nil, fmt.Errorf("--%s: %w; off fetches none", source.flag, err)
		}
		all[source.kind] = source.reference
	}
	return all, nil
}

// databaseAge says when a database is old.
type databaseAge struct {
	ScanDBMaxAge time.Duration `name:"scan-db-max-age" default:"72h" help:"Age from which on the log, berth scan db status and berth doctor warn of a vulnerability database, if a newer one should have come."`
}

// databaseFlags are what the server has to know of vulnerability databases.
type databaseFlags struct {
	databasePlaces  `embed:""`
	databaseSources `embed:""`
	databaseAge     `embed:""`
	ScanDBEvery     time.Duration `name:"scan-db-every" default:"6h" help:"How often to ask for a newer vulnerability database, once that is due by what the present one says."`
}

func (f databaseFlags) check() error {
	if _, err := f.importer(nil, nil, nil); err != nil {
		return err
	}
	if _, err := f.references(); err != nil {
		return err
	}
	for flag, d := range map[string]time.Duration{"scan-db-max-age": f.ScanDBMaxAge, "scan-db-every": f.ScanDBEvery} {
		if d <= 0 {
			return fmt.Errorf("--%s must be more than zero, not %s", flag, d)
		}
	}
	return nil
}

// userAgent is what other registries are told of this one.
func userAgent() string { return "berth/" + version }

// databaseUpdater fetches newer vulnerability databases while wanted reports that anything is
// scanned.
func (f databaseFlags) databaseUpdater(e *engine.Engine, db *meta.DB, log *slog.Logger, wanted func(context.Context) (bool, error)) (*database.Updater, error) {
	importer, err := f.importer(e, db, log)
	if err != nil {
		return nil, err
	}
	references, err := f.references()
	if err != nil {
		return nil, err
	}
	return database.NewUpdater(importer, db, database.UpdaterOptions{
		References: references, Every: f.ScanDBEvery, MaxAge: f.ScanDBMaxAge, Wanted: wanted, UserAgent: userAgent(), Logger: log,
	}), nil
}
