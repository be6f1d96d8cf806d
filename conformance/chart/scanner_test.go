package chart

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const withScanner = "scanner.enabled=true,scanner.image.repository=registry.example.com/berth-scanner,scanner.existingSecret.name=robot"

// scanner is the Deployment of the scanner.
func scanner(t *testing.T, r release) *appsv1.Deployment {
	t.Helper()
	for _, d := range all[*appsv1.Deployment](r) {
		if strings.HasSuffix(d.Name, "-scanner") {
			return d
		}
	}
	t.Fatal("there is no Deployment of the scanner")
	return nil
}

func TestScanner(t *testing.T) {
	for _, d := range all[*appsv1.Deployment](render(t, "minimal")) {
		if strings.HasSuffix(d.Name, "-scanner") {
			t.Error("there is a scanner that nobody asked for")
		}
	}
	for _, set := range []string{"minimal", "everything"} {
		t.Run(set, func(t *testing.T) {
			r := render(t, set, "--set", withScanner)
			checkNames(t, r)
			d := scanner(t, r)
			pod := d.Spec.Template
			matches := func(selector map[string]string) bool {
				return labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels))
			}
			if !matches(d.Spec.Selector.MatchLabels) {
				t.Errorf("the Deployment does not select its pods: %v", pod.Labels)
			}
			for _, s := range all[*corev1.Service](r) {
				if matches(s.Spec.Selector) {
					t.Errorf("the Service %s sends requests to scanners", s.Name)
				}
			}
			for _, other := range all[*appsv1.Deployment](r) {
				if other != d && matches(other.Spec.Selector.MatchLabels) {
					t.Errorf("the Deployment %s takes scanners for its own", other.Name)
				}
			}
			c := pod.Spec.Containers[0]
			env := map[string]string{}
			for _, e := range c.Env {
				env[e.Name] = e.Value
				if e.ValueFrom != nil {
					env[e.Name] = e.ValueFrom.SecretKeyRef.Name + "/" + e.ValueFrom.SecretKeyRef.Key
				}
			}
			for name, want := range map[string]string{"BERTH_SCANNER_USER": "robot/username", "BERTH_SCANNER_PASSWORD": "robot/password", "BERTH_SCANNER_WORKERS": "1", "BERTH_SCANNER_MEMORY": "600MiB"} {
				if env[name] != want {
					t.Errorf("%s is %q, want %q", name, env[name], want)
				}
			}
			found := false
			for _, s := range all[*corev1.Service](r) {
				found = found || strings.Contains(env["BERTH_SCANNER_REGISTRY"], "://"+s.Name+":")
			}
			if !found {
				t.Errorf("it looks for the registry at %s, which is no Service", env["BERTH_SCANNER_REGISTRY"])
			}
			if s := c.SecurityContext; s == nil || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation {
				t.Error("the scanner may do more than it needs to")
			}
			for name := range env {
				if !strings.HasPrefix(name, "BERTH_SCANNER_") {
					t.Errorf("the scanner knows %s", name)
				}
			}
		})
	}
}

// TestScannerPolicy has the scanner reach the registry where not everybody may.
func TestScannerPolicy(t *testing.T) {
	r := render(t, "everything", "--set", withScanner, "--set-json", `networkPolicy.clients=[{"namespaceSelector":{"matchLabels":{"a":"b"}}}]`)
	pod := labels.Set(scanner(t, r).Spec.Template.Labels)
	found := false
	for _, from := range one[*networkingv1.NetworkPolicy](t, r).Spec.Ingress[0].From {
		if from.PodSelector == nil {
			continue
		}
		s, err := metav1.LabelSelectorAsSelector(from.PodSelector)
		if err != nil {
			t.Fatal(err)
		}
		found = found || s.Matches(pod)
	}
	if !found {
		t.Error("the scanner is not let in")
	}
}
