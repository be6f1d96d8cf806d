package chart

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

func checkKinds(t *testing.T, r release, want string) {
	t.Helper()
	var kinds []string
	for _, o := range r.objects {
		kinds = append(kinds, o.kind)
	}
	slices.Sort(kinds)
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("objects are\n%s, want\n%s", got, want)
	}
}

// checkNames finds names and labels that the API would refuse, and objects that would replace each other.
func checkNames(t *testing.T, r release) {
	t.Helper()
	seen := map[string]bool{}
	for _, o := range r.objects {
		name := o.kind + "/" + o.GetName()
		if seen[name] {
			t.Errorf("there are two %s", name)
		}
		seen[name] = true
		for _, problem := range validation.IsDNS1035Label(o.GetName()) {
			t.Errorf("%s: %s", name, problem)
		}
		checkLabels(t, name, o.GetLabels())
		for key := range o.GetAnnotations() {
			for _, problem := range validation.IsQualifiedName(key) {
				t.Errorf("annotation %s of %s: %s", key, name, problem)
			}
		}
	}
	for _, d := range all[*appsv1.Deployment](r) {
		checkLabels(t, "the pod of "+d.Name, d.Spec.Template.Labels)
	}
}

func checkLabels(t *testing.T, of string, set map[string]string) {
	t.Helper()
	for key, value := range set {
		for _, problem := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...) {
			t.Errorf("label %s=%s of %s: %s", key, value, of, problem)
		}
	}
}

// checkSelectors sees that everything that looks for pods finds them, and everything that looks for objects these.
func checkSelectors(t *testing.T, r release) {
	t.Helper()
	d := one[*appsv1.Deployment](t, r)
	pod := d.Spec.Template
	matches := func(what string, selector *metav1.LabelSelector, set map[string]string) bool {
		t.Helper()
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return s != nil && !s.Empty() && s.Matches(labels.Set(set))
	}
	found := func(what string, selector *metav1.LabelSelector) {
		t.Helper()
		if !matches(what, selector, pod.Labels) {
			t.Errorf("%s: %v does not select pods with %v", what, selector, pod.Labels)
		}
	}
	found("Deployment", d.Spec.Selector)
	for _, s := range all[*corev1.Service](r) {
		found("Service "+s.Name, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
	}
	for _, p := range all[*policyv1.PodDisruptionBudget](r) {
		found("PodDisruptionBudget", p.Spec.Selector)
	}
	for _, p := range all[*networkingv1.NetworkPolicy](r) {
		found("NetworkPolicy", &p.Spec.PodSelector)
	}
	for _, c := range pod.Spec.TopologySpreadConstraints {
		found("topology spread by "+c.TopologyKey, c.LabelSelector)
	}
	for _, h := range all[*autoscalingv2.HorizontalPodAutoscaler](r) {
		want := autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: d.Name}
		if h.Spec.ScaleTargetRef != want {
			t.Errorf("HorizontalPodAutoscaler: scales %v", h.Spec.ScaleTargetRef)
		}
	}
	for _, m := range all[*monitoringv1.ServiceMonitor](r) {
		var services []string
		for _, s := range all[*corev1.Service](r) {
			if matches("ServiceMonitor", &m.Spec.Selector, s.Labels) {
				services = append(services, s.Name)
				for _, e := range m.Spec.Endpoints {
					if !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == e.Port }) {
						t.Errorf("ServiceMonitor: Service %s has no port %s", s.Name, e.Port)
					}
				}
			}
		}
		if len(services) != 1 {
			t.Errorf("ServiceMonitor: selects %v, so pods are scraped %d times", services, len(services))
		}
	}
}

// checkPorts sees that berth listens where everyone thinks it does.
func checkPorts(t *testing.T, r release) {
	t.Helper()
	open := map[string]int32{}
	for _, p := range r.container(t).Ports {
		open[p.Name] = p.ContainerPort
	}
	public := "http"
	if r.config(t)["tls-cert"] != nil {
		public = "https"
	}
	for name, key := range map[string]string{public: "addr", "admin": "admin-addr"} {
		addr, _ := r.config(t)[key].(string)
		host, port, err := net.SplitHostPort(addr)
		if err != nil || host != "" || port != fmt.Sprint(open[name]) {
			t.Errorf("%s is %q, which is not port %d, %s, on every address", key, addr, open[name], name)
		}
	}
	services := map[string]*corev1.Service{}
	for _, s := range all[*corev1.Service](r) {
		services[s.Name] = s
		for _, p := range s.Spec.Ports {
			if open[p.TargetPort.StrVal] == 0 {
				t.Errorf("Service %s: pods have no port %v", s.Name, p.TargetPort)
			}
			if p.TargetPort.StrVal == "admin" && (s.Spec.ClusterIP != corev1.ClusterIPNone || len(s.Spec.Ports) > 1) {
				t.Errorf("Service %s shows health, metrics and profiles outside, or of one pod only", s.Name)
			}
		}
	}
	for _, i := range all[*networkingv1.Ingress](r) {
		for _, rule := range i.Spec.Rules {
			backend := rule.HTTP.Paths[0].Backend.Service
			s := services[backend.Name]
			if s == nil || !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == backend.Port.Name && p.Name != "admin" }) {
				t.Errorf("Ingress: no port %v of Service %s", backend.Port, backend.Name)
			}
		}
		if i.Annotations["nginx.ingress.kubernetes.io/proxy-body-size"] != "0" {
			t.Error("Ingress: ingress-nginx refuses layers of more than a megabyte")
		}
	}
	for _, p := range all[*networkingv1.NetworkPolicy](r) {
		allowed := map[string]bool{}
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				allowed[port.Port.StrVal] = true
			}
		}
		if !maps.EqualFunc(allowed, open, func(bool, int32) bool { return true }) {
			t.Errorf("NetworkPolicy: lets in to %v, and there are %v", allowed, open)
		}
	}
}

func checkProbes(t *testing.T, r release) {
	t.Helper()
	c := r.container(t)
	for name, probe := range map[string]*corev1.Probe{"/healthz startup": c.StartupProbe, "/healthz liveness": c.LivenessProbe, "/readyz readiness": c.ReadinessProbe} {
		path, _, _ := strings.Cut(name, " ")
		switch {
		case probe == nil || probe.HTTPGet == nil:
			t.Errorf("no probe for %s", name)
		case probe.HTTPGet.Path != path || probe.HTTPGet.Scheme == corev1.URISchemeHTTPS:
			t.Errorf("%s asks for %s %s", name, probe.HTTPGet.Scheme, probe.HTTPGet.Path)
		case !slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
			return p.Name == probe.HTTPGet.Port.StrVal && p.ContainerPort == 5001
		}):
			t.Errorf("%s asks port %v", name, probe.HTTPGet.Port)
		}
	}
	// A schema that changes must not be cut short by a restart, which would begin it anew.
	if p := c.StartupProbe; p != nil && time.Duration(p.PeriodSeconds*p.FailureThreshold)*time.Second < 10*time.Minute {
		t.Errorf("a start may last %d times %d seconds only", p.FailureThreshold, p.PeriodSeconds)
	}
}

// checkReferences sees that what a pod needs is there, rendered or foreign, or the pod would wait for it for ever.
func checkReferences(t *testing.T, r release, foreign []string) {
	t.Helper()
	secrets, configs, claims := map[string]*corev1.Secret{}, map[string]bool{}, map[string]bool{}
	for _, s := range all[*corev1.Secret](r) {
		secrets[s.Name] = s
	}
	for _, c := range all[*corev1.ConfigMap](r) {
		configs[c.Name] = true
	}
	for _, c := range all[*corev1.PersistentVolumeClaim](r) {
		claims[c.Name] = true
	}
	used := map[string]bool{}
	names := map[string]bool{}
	for _, e := range r.container(t).Env {
		if names[e.Name] {
			t.Errorf("%s is set twice", e.Name)
		}
		names[e.Name] = true
		if e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil {
			continue
		}
		ref := e.ValueFrom.SecretKeyRef
		used[ref.Name+"/"+ref.Key] = true
		if s := secrets[ref.Name]; s != nil && s.StringData[ref.Key] == "" || s == nil && !slices.Contains(foreign, ref.Name) {
			t.Errorf("%s: there is no Secret %s with the key %s", e.Name, ref.Name, ref.Key)
		}
	}
	for name, s := range secrets {
		for key := range s.StringData {
			if !used[name+"/"+key] {
				t.Errorf("nobody reads the key %s of Secret %s", key, name)
			}
		}
	}
	volumes := map[string]bool{}
	for _, v := range r.pod(t).Spec.Volumes {
		volumes[v.Name] = true
		name, there := "", false
		switch {
		case v.ConfigMap != nil:
			name, there = v.ConfigMap.Name, configs[v.ConfigMap.Name]
		case v.Secret != nil:
			name, there = v.Secret.SecretName, secrets[v.Secret.SecretName] != nil
		case v.PersistentVolumeClaim != nil:
			name, there = v.PersistentVolumeClaim.ClaimName, claims[v.PersistentVolumeClaim.ClaimName]
		}
		if !there && !slices.Contains(foreign, name) {
			t.Errorf("volume %s: there is no %s", v.Name, name)
		}
	}
	for _, m := range r.container(t).VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("nothing to mount on %s: there is no volume %s", m.MountPath, m.Name)
		}
	}
	if account := one[*corev1.ServiceAccount](t, r); r.pod(t).Spec.ServiceAccountName != account.Name {
		t.Errorf("pods have the ServiceAccount %s, and %s is made", r.pod(t).Spec.ServiceAccountName, account.Name)
	}
	if args := strings.Join(r.container(t).Args, " "); args != "serve --config /etc/berth/berth.yaml" {
		t.Errorf("the command line is %s", args)
	}
	if !slices.ContainsFunc(r.container(t).VolumeMounts, func(m corev1.VolumeMount) bool {
		return m.MountPath == "/etc/berth" && m.Name == "config" && m.SubPath == ""
	}) {
		t.Error("berth.yaml is not in /etc/berth")
	}
}

// checkSecrets looks for secrets where anyone may read.
func checkSecrets(t *testing.T, r release, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		kept := false
		for _, o := range r.objects {
			there := strings.Contains(o.text, secret) || strings.Contains(o.text, base64.StdEncoding.EncodeToString([]byte(secret)))
			if there && o.kind != "Secret" {
				t.Errorf("%s is in a %s", secret, o.kind)
			}
			kept = kept || there && o.kind == "Secret"
		}
		if !kept {
			t.Errorf("%s is in no Secret", secret)
		}
	}
}

func checkSecurity(t *testing.T, r release) {
	t.Helper()
	pod, c := r.pod(t).Spec, r.container(t)
	yes := func(what string, b *bool) {
		t.Helper()
		if b == nil || !*b {
			t.Errorf("%s is not true", what)
		}
	}
	no := func(what string, b *bool) {
		t.Helper()
		if b == nil || *b {
			t.Errorf("%s is not false", what)
		}
	}
	yes("runAsNonRoot", pod.SecurityContext.RunAsNonRoot)
	yes("readOnlyRootFilesystem", c.SecurityContext.ReadOnlyRootFilesystem)
	no("allowPrivilegeEscalation", c.SecurityContext.AllowPrivilegeEscalation)
	no("automountServiceAccountToken", pod.AutomountServiceAccountToken)
	no("enableServiceLinks", pod.EnableServiceLinks)
	if s := pod.SecurityContext; *s.RunAsUser != 65532 || *s.RunAsGroup != 65532 || *s.FSGroup != 65532 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("the pod's security context is %v", s)
	}
	if caps := c.SecurityContext.Capabilities; !slices.Equal(caps.Drop, []corev1.Capability{"ALL"}) || len(caps.Add) > 0 {
		t.Errorf("capabilities are %v", caps)
	}
	if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
		t.Errorf("resources are %v", c.Resources)
	}
}

// checkDisruption sees that a node can always be drained, even if one replica is left.
func checkDisruption(t *testing.T, r release) {
	t.Helper()
	for _, p := range all[*policyv1.PodDisruptionBudget](r) {
		if p.Spec.MinAvailable != nil || p.Spec.MaxUnavailable == nil {
			t.Error("PodDisruptionBudget: minAvailable can forbid that the last replica goes")
			continue
		}
		if n, err := intstr.GetScaledValueFromIntOrPercent(p.Spec.MaxUnavailable, 1, true); err != nil || n < 1 {
			t.Errorf("PodDisruptionBudget: of one replica %d may be away, %v", n, err)
		}
		if policy := p.Spec.UnhealthyPodEvictionPolicy; policy == nil || *policy != policyv1.AlwaysAllow {
			t.Error("PodDisruptionBudget: a pod that does not get ready keeps its node")
		}
	}
	d := one[*appsv1.Deployment](t, r)
	if scaled := len(all[*autoscalingv2.HorizontalPodAutoscaler](r)) > 0; scaled != (d.Spec.Replicas == nil) {
		t.Errorf("Deployment: replicas are %v; HorizontalPodAutoscaler: %v", d.Spec.Replicas, scaled)
	}
}

// checkStopping sees that a pod is not killed before it has let requests end.
func checkStopping(t *testing.T, r release) {
	t.Helper()
	var sleep time.Duration
	if l := r.container(t).Lifecycle; l != nil {
		if l.PreStop.Sleep == nil {
			t.Fatal("preStop is not a sleep, and the image has nothing to run")
		}
		sleep = time.Duration(l.PreStop.Sleep.Seconds) * time.Second
	}
	d := one[*appsv1.Deployment](t, r)
	if d.Spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType && sleep < 5*time.Second {
		t.Errorf("a pod stops to listen %s after it was taken out; not everyone has heard of it by then", sleep)
	}
	grace := time.Duration(*r.pod(t).Spec.TerminationGracePeriodSeconds) * time.Second
	if least := sleep + r.drain(t); grace <= least {
		t.Errorf("the grace period is %s; preStop and drain take %s", grace, least)
	}
}
