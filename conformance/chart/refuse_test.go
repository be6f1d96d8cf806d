package chart

import (
	"strings"
	"testing"
)

// TestRefused: what cannot work is refused before it is in the cluster, and the message says what to do.
func TestRefused(t *testing.T) {
	for _, test := range []struct {
		name, values, set string
		want              []string
	}{
		{"no values", "", "", []string{"image.repository is missing: name an image", "database.url is missing: give postgres://", "storage.url is missing: give s3://"}},
		{"an unknown key", "minimal", "replicaCount=3", []string{"replicaCount"}},
		{"an unknown key inside", "minimal", "database.host=db", []string{"host"}},
		{"an unknown setting", "minimal", "config.loglevel=debug", []string{"loglevel"}},
		{"a setting of the chart's", "minimal", "config.drain-timeout=5m", []string{"drain-timeout"}},
		{"a wrong type", "minimal", "replicas=two", []string{"/replicas"}},
		{"a duration without unit", "minimal", "config.token-lifetime=300", []string{"/config/token-lifetime"}},

		{"no database", "minimal", "database.url=", []string{"database.url is missing: give postgres://", "persistence.enabled=true"}},
		{"SQLite", "minimal", "database.url=sqlite:/data/berth.db", []string{"must begin with postgres://", "set persistence.enabled to true"}},
		{"a password twice", "minimal", "database.password=x", []string{"leave it out of database.url"}},
		{"a password from two places", "everything", "database.existingSecret.name=x", []string{"leave one of them empty"}},
		{"a password without URL", "secrets", "database.password=x", []string{"database.password without database.url"}},
		{"no bucket", "minimal", "storage.url=", []string{"storage.url is missing: give s3://"}},
		{"a disk", "minimal", "storage.url=fs:/data", []string{"must begin with s3://", "set persistence.enabled to true"}},
		{"keys in the URL", "minimal", "storage.url=s3://AKIA:secret@bucket/x", []string{"move them to storage.accessKeyID"}},
		{"half a key", "minimal", "storage.secretAccessKey=", []string{"go together"}},
		{"keys from two places", "minimal", "storage.existingSecret.name=x", []string{"leave one of them empty"}},
		{"keys and a role", "irsa", "storage.existingSecret.name=x", []string{"remove one of them"}},

		{"two replicas on SQLite", "single", "replicas=2", []string{"replicas is 2", "set replicas to 1"}},
		{"a rolling update on SQLite", "single", "strategy.type=RollingUpdate", []string{"leave strategy empty"}},
		{"autoscaling on SQLite", "single", "autoscaling.enabled=true", []string{"set autoscaling.enabled to false"}},
		{"SQLite and PostgreSQL", "single", "database.url=postgres://x@y/z", []string{"empty database.*"}},
		{"a disk and a bucket", "single", "storage.url=s3://x", []string{"empty storage.*"}},

		{"a scanner of nothing", "minimal", "scanner.enabled=true", []string{"scanner.image.repository is missing", "scanner.existingSecret.name is missing"}},
		{"a scanner of a path", "minimal", "scanner.registry=https://registry.example.com/berth", []string{"/scanner/registry"}},

		{"a grace too short", "minimal", "terminationGracePeriodSeconds=310", []string{"take 310", "leave it empty"}},
		{"replicas and autoscaling", "everything", "replicas=3", []string{"leave replicas empty"}},
		{"more than the most", "everything", "autoscaling.minReplicas=20", []string{"minReplicas is more than"}},
		{"autoscaling by nothing", "everything", "autoscaling.targetCPU=null,autoscaling.targetMemory=null", []string{"set autoscaling.targetCPU"}},
		{"autoscaling of what is not asked for", "everything", "resources.requests.cpu=null,resources.limits.cpu=null", []string{"needs resources.requests.cpu"}},
		{"no disruption at all", "minimal", "podDisruptionBudget.maxUnavailable=0", []string{"/podDisruptionBudget/maxUnavailable"}},
		{"no disruption in percent", "minimal", "podDisruptionBudget.maxUnavailable=0%", []string{"/podDisruptionBudget/maxUnavailable"}},
		{"root", "minimal", "podSecurityContext.runAsUser=0", []string{"/podSecurityContext/runAsUser"}},
		{"an Ingress of no host", "minimal", "ingress.enabled=true", []string{"a registry needs a host name"}},
		{"a role for nobody", "irsa", "serviceAccount.create=false", []string{"annotate the ServiceAccount that exists"}},
		{"a database from somewhere", "minimal", "config.scan-db=true", []string{"/config/scan-db"}},
		{"redirect on", "minimal", "config.redirect=true", []string{`must be "off", "always"`}},
		{"the chart's variable", "minimal", "extraEnv[0].name=BERTH_ADDR,extraEnv[0].value=:80", []string{"BERTH_ADDR, which the chart sets itself; use service.port"}},
		{"a password too short", "minimal", "admin.password=short", []string{"/admin/password"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var args []string
			if test.set != "" {
				args = []string{"--set", test.set}
			}
			out, err := template(t, test.values, args...)
			if err == nil {
				t.Fatalf("this was taken:\n%s", out)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
		})
	}
}
