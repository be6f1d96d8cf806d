package chart

import (
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// sets are the files in testdata.
var sets = []struct {
	name    string
	kinds   string   // what is made of it, sorted
	secrets []string // what may stand in a Secret only
	foreign []string // Secrets and other objects that are there without the chart
}{
	{
		name:    "minimal",
		kinds:   "ConfigMap Deployment PodDisruptionBudget Secret Service Service ServiceAccount",
		secrets: []string{"database-secret", "AKIAMINIMAL", "storage-secret"},
	}, {
		name: "everything",
		kinds: "ConfigMap Deployment HorizontalPodAutoscaler Ingress NetworkPolicy PodDisruptionBudget Secret Service Service " +
			"ServiceAccount ServiceMonitor",
		secrets: []string{"database-secret", "AKIAEVERYTHING", "storage-secret", "admin-secret"},
		foreign: []string{"registry-pods-tls", "my-ca"},
	}, {
		name:    "single",
		kinds:   "ConfigMap Deployment Ingress PersistentVolumeClaim Secret Service Service ServiceAccount",
		secrets: []string{"admin-secret"},
	}, {
		name:    "secrets",
		kinds:   "ConfigMap Deployment PodDisruptionBudget Service Service ServiceAccount",
		foreign: []string{"cluster-app", "bucket-claim", "berth-admin", "berth-keys"},
	}, {
		name:    "irsa",
		kinds:   "ConfigMap Deployment PodDisruptionBudget Secret Service Service ServiceAccount",
		foreign: []string{"berth-database"},
	},
}

func TestLint(t *testing.T) {
	for _, set := range sets {
		t.Run(set.name, func(t *testing.T) {
			if out, err := helm(t, "lint", "--strict", chartDir, "--kube-version", kubeVersion, "--values", filepath.Join("testdata", set.name+".yaml")); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestSets looks at each set of values as the cluster would.
func TestSets(t *testing.T) {
	for _, set := range sets {
		t.Run(set.name, func(t *testing.T) {
			r := render(t, set.name)
			checkKinds(t, r, set.kinds)
			checkNames(t, r)
			checkSelectors(t, r)
			checkPorts(t, r)
			checkProbes(t, r)
			checkReferences(t, r, set.foreign)
			checkSecrets(t, r, set.secrets)
			checkSecurity(t, r)
			checkDisruption(t, r)
			checkStopping(t, r)
		})
	}
}

// A release name is 53 characters at most. Names and labels must fit with it too.
func TestLongName(t *testing.T) {
	name := strings.Repeat("n", 53)
	r := render(t, "everything", "--name-template", name)
	checkNames(t, r)
	checkSelectors(t, r)
	checkPorts(t, r)
}

func TestNotes(t *testing.T) {
	for _, set := range sets {
		t.Run(set.name, func(t *testing.T) {
			out, err := helm(t, "install", "berth", chartDir, "--dry-run=client", "--values", filepath.Join("testdata", set.name+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			_, notes, found := strings.Cut(out, "NOTES:")
			if !found || !strings.Contains(notes, "docker login") {
				t.Errorf("the notes do not say how to log in: %s", notes)
			}
			for _, s := range set.secrets {
				if strings.Contains(notes, s) {
					t.Errorf("the notes have the secret %s", s)
				}
			}
		})
	}
}

func TestReplicas(t *testing.T) {
	d := one[*appsv1.Deployment](t, render(t, "minimal"))
	if *d.Spec.Replicas != 2 || d.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType {
		t.Errorf("by default %d replicas by %s", *d.Spec.Replicas, d.Spec.Strategy.Type)
	}
	if u := d.Spec.Strategy.RollingUpdate; u.MaxUnavailable.IntValue() != 0 || u.MaxSurge.IntValue() != 1 {
		t.Errorf("a rolling update takes a replica away before it adds one: %v", u)
	}
	for _, n := range []int32{0, 1, 5} {
		d := one[*appsv1.Deployment](t, render(t, "minimal", "--set", "replicas="+string('0'+n)))
		if *d.Spec.Replicas != n {
			t.Errorf("%d replicas, want %d", *d.Spec.Replicas, n)
		}
	}
	d = one[*appsv1.Deployment](t, render(t, "everything"))
	if d.Spec.Replicas != nil {
		t.Errorf("%d replicas beside a HorizontalPodAutoscaler, which every upgrade would undo", *d.Spec.Replicas)
	}
}

func TestSingleNode(t *testing.T) {
	r := render(t, "single")
	d := one[*appsv1.Deployment](t, r)
	if *d.Spec.Replicas != 1 || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		t.Errorf("%d replicas by %s; want 1 by Recreate", *d.Spec.Replicas, d.Spec.Strategy.Type)
	}
	for _, name := range []string{"BERTH_DATABASE", "BERTH_STORAGE", "PGPASSWORD", "AWS_ACCESS_KEY_ID"} {
		if value := r.env(t, name); value != "" {
			t.Errorf("%s is %s", name, value)
		}
	}
	claim := one[*corev1.PersistentVolumeClaim](t, r)
	if claim.Annotations["helm.sh/resource-policy"] != "keep" {
		t.Error("helm uninstall would delete every image")
	}
	folder, _ := r.config(t)["data"].(string)
	mounted := false
	for _, m := range r.container(t).VolumeMounts {
		mounted = mounted || m.MountPath == folder && !m.ReadOnly
	}
	if !mounted {
		t.Errorf("the data folder %q is not on a volume", folder)
	}

	r = render(t, "single", "--set", "persistence.existingClaim=mine")
	if len(all[*corev1.PersistentVolumeClaim](r)) != 0 {
		t.Error("a claim is made beside the existing one")
	}
	checkReferences(t, r, []string{"mine"})
}

func TestWhereSecretsComeFrom(t *testing.T) {
	for _, test := range []struct {
		name, values, want string
		args               []string
	}{
		{"from values", "minimal", "BERTH_DATABASE=berth/database-url AWS_ACCESS_KEY_ID=berth/access-key-id AWS_SECRET_ACCESS_KEY=berth/secret-access-key", nil},
		{"password apart", "everything", "BERTH_DATABASE=berth/database-url PGPASSWORD=berth/database-password BERTH_ADMIN_PASSWORD=berth/admin-password", nil},
		{"existing", "secrets", "BERTH_DATABASE=cluster-app/uri PGPASSWORD= AWS_ACCESS_KEY_ID=bucket-claim/AWS_ACCESS_KEY_ID " +
			"AWS_SECRET_ACCESS_KEY=bucket-claim/AWS_SECRET_ACCESS_KEY BERTH_ADMIN_PASSWORD=berth-admin/password ACCESS_KEY_SECRET=berth-keys/secret", nil},
		{"existing password", "irsa", "BERTH_DATABASE=berth/database-url PGPASSWORD=berth-database/password", nil},
		{"by a role", "irsa", "AWS_ACCESS_KEY_ID= AWS_SECRET_ACCESS_KEY= BERTH_ADMIN_PASSWORD=", nil},
		{"of a memory limit", "minimal", "GOMEMLIMIT=460MiB", []string{"--set", "resources.limits.memory=512Mi"}},
		{"of no memory limit", "minimal", "GOMEMLIMIT=", []string{"--set", "resources.limits=null"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := render(t, test.values, test.args...)
			for pair := range strings.FieldsSeq(test.want) {
				name, want, _ := strings.Cut(pair, "=")
				if got := r.env(t, name); got != want {
					t.Errorf("%s is from %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestIRSA(t *testing.T) {
	r := render(t, "irsa")
	account := one[*corev1.ServiceAccount](t, r)
	if account.Annotations["eks.amazonaws.com/role-arn"] == "" {
		t.Error("the ServiceAccount has no role")
	}
	// EKS adds a token of its own; the one for the Kubernetes API is of no use.
	if mount := r.pod(t).Spec.AutomountServiceAccountToken; mount == nil || *mount {
		t.Error("pods can talk to the Kubernetes API")
	}
}

// Pods read their settings when they start. A change must make new ones, if it matters.
func TestChangesRollPods(t *testing.T) {
	annotations := func(args ...string) string {
		a := render(t, "everything", args...).pod(t).Annotations
		return a["checksum/config"] + a["checksum/secrets"]
	}
	before := annotations()
	for change, rolls := range map[string]bool{
		"config.log-level=debug":           true,
		"storage.url=s3://another":         true,
		"storage.secretAccessKey=another":  true,
		"database.password=another":        true,
		"drainSeconds=60":                  true,
		"admin.password=another-one":       false,
		"service.annotations.a=b":          false,
		"podDisruptionBudget.enabled=true": false,
	} {
		if got := annotations("--set", change) != before; got != rolls {
			t.Errorf("%s makes new pods: %v, want %v", change, got, rolls)
		}
	}
}

func TestPublicURL(t *testing.T) {
	for _, test := range []struct {
		name, want string
		args       []string
	}{
		{"no Ingress", "", []string{"--set", "ingress.enabled=false"}},
		{"an Ingress with TLS", "https://registry.example.com", nil},
		{"TLS ends elsewhere", "", []string{"--set", "ingress.tls.enabled=false"}},
		{"proxies are trusted", "https://registry.example.com", []string{"--set", "config.trusted-proxy={10.0.0.0/8}"}},
		{"several hosts", "https://a.example.com", []string{"--set", "ingress.hosts={a.example.com,b.example.com}"}},
		{"proxies say which host", "", []string{"--set", "ingress.hosts={a.example.com,b.example.com},config.trusted-proxy={10.0.0.0/8}"}},
		{"told", "https://example.net", []string{"--set", "config.public-url=https://example.net"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _ := render(t, "single", append([]string{"--set", "config.trusted-proxy=null", "--set", "config.public-url="}, test.args...)...).config(t)["public-url"].(string)
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// Helm likes to turn large numbers into 2.68435456e+08, and YAML 1.1 takes off for false.
func TestConfigValues(t *testing.T) {
	r := render(t, "minimal", "--set", "config.upload-memory=268435456,config.redirect=off")
	if file := r.file(t); !strings.Contains(file, "upload-memory: 268435456") || !strings.Contains(file, `redirect: "off"`) {
		t.Errorf("berth.yaml has numbers or words that are not as they were:\n%s", file)
	}
	r = render(t, "minimal", "--set-json", `config={"redirect":false,"scan-db":false,"create-on-push":false,"log-level":null}`)
	if c := r.config(t); c["redirect"] != "off" || c["scan-db"] != "off" || c["create-on-push"] != false || len(c) != 7 {
		t.Errorf("got %v", c)
	}
}
