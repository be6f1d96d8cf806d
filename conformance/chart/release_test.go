package chart

import (
	"reflect"
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
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/yaml"
)

// release is what the chart makes of some values.
type release struct {
	objects []object
}

// object is one document of it.
type object struct {
	metav1.Object
	kind    string
	text    string
	decoded runtime.Object
}

// strict refuses fields that the API does not have, and fields that are there twice.
var strict = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, corev1.AddToScheme, monitoringv1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

// render is template, for values that must work.
func render(t *testing.T, values string, args ...string) release {
	t.Helper()
	out, err := template(t, values, args...)
	if err != nil {
		t.Fatal(err)
	}
	var r release
	for text := range strings.SplitSeq("\n"+out, "\n---\n") {
		if strings.TrimSpace(text) == "" {
			continue
		}
		decoded, kind, err := strict.Decode([]byte(text), nil, nil)
		if err != nil {
			t.Fatalf("%v, in\n%s", err, text)
		}
		r.objects = append(r.objects, object{decoded.(metav1.Object), kind.Kind, text, decoded})
	}
	return r
}

// all returns the objects of type T.
func all[T runtime.Object](r release) []T {
	var found []T
	for _, o := range r.objects {
		if d, ok := o.decoded.(T); ok {
			found = append(found, d)
		}
	}
	return found
}

// one returns the only object of type T.
func one[T runtime.Object](t *testing.T, r release) T {
	t.Helper()
	found := all[T](r)
	if len(found) != 1 {
		t.Fatalf("%d objects of type %s, want 1", len(found), reflect.TypeFor[T]())
	}
	return found[0]
}

func (r release) pod(t *testing.T) corev1.PodTemplateSpec {
	t.Helper()
	return one[*appsv1.Deployment](t, r).Spec.Template
}

func (r release) container(t *testing.T) corev1.Container {
	t.Helper()
	containers := r.pod(t).Spec.Containers
	if len(containers) != 1 {
		t.Fatalf("%d containers, want 1", len(containers))
	}
	return containers[0]
}

// env is a variable of the container: its value, or Secret/key.
func (r release) env(t *testing.T, name string) string {
	t.Helper()
	for _, e := range r.container(t).Env {
		switch {
		case e.Name != name:
		case e.ValueFrom != nil:
			return e.ValueFrom.SecretKeyRef.Name + "/" + e.ValueFrom.SecretKeyRef.Key
		default:
			return e.Value
		}
	}
	return ""
}

// file is berth.yaml.
func (r release) file(t *testing.T) string {
	t.Helper()
	return one[*corev1.ConfigMap](t, r).Data["berth.yaml"]
}

// config is what berth.yaml says.
func (r release) config(t *testing.T) map[string]any {
	t.Helper()
	settings := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(r.file(t)), &settings); err != nil {
		t.Fatal(err)
	}
	return settings
}

func (r release) drain(t *testing.T) time.Duration {
	t.Helper()
	s, _ := r.config(t)["drain-timeout"].(string)
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
