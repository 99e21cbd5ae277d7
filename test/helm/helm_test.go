// Package helm lints and renders the chart in configs/helm with Helm's own code. It is a module of its
// own: what Helm brings is no part of Fantail.
package helm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"sigs.k8s.io/yaml"
)

const chart = "../../configs/helm/fantail"

// render returns the objects of the chart by kind and name.
func render(t *testing.T, values map[string]any) map[string]map[string]any {
	t.Helper()
	c, err := loader.Load(chart)
	if err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(c, values, chartutil.ReleaseOptions{Name: "hooks", Namespace: "prod", IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Engine{Strict: true}.Render(c, all)
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]map[string]any{}
	for name, text := range files {
		if strings.HasSuffix(name, ".tpl") {
			continue
		}
		for part := range strings.SplitSeq(text, "\n---\n") {
			var o map[string]any
			if err := yaml.UnmarshalStrict([]byte(part), &o); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, part)
			}
			if o == nil {
				continue
			}
			meta := o["metadata"].(map[string]any)
			objects[o["kind"].(string)+" "+meta["name"].(string)] = o
		}
	}
	return objects
}

// at follows keys, and numbers of lists.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, key := range path {
		switch k := key.(type) {
		case string:
			v = v.(map[string]any)[k]
		case int:
			v = v.([]any)[k]
		}
		if v == nil {
			t.Fatalf("nothing at %v", path)
		}
	}
	return v
}

func TestTheChartIsSound(t *testing.T) {
	for _, values := range []map[string]any{{}, {"serviceMonitor": map[string]any{"enabled": true, "labels": map[string]any{"team": "a"}}, "replicas": 3}} {
		for _, m := range lint.All(chart, values, "prod", true).Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s", m)
			}
		}
	}
}

// What the chart renders is what docs/SCALE-OUT.md promises: daemons that know each other by stable
// names, are not ready before they are ended, and are ended one at a time.
func TestTheChartRendersDaemonsThatKnowEachOther(t *testing.T) {
	o := render(t, map[string]any{"replicas": 3, "serviceMonitor": map[string]any{"enabled": true}, "settings": map[string]any{"retention": map[string]any{"events": "200h"}}})
	set := o["StatefulSet hooks"]
	if n := at(t, set, "spec", "replicas"); n != float64(3) {
		t.Errorf("replicas: %v", n)
	}
	if s := at(t, set, "spec", "serviceName"); o["Service "+s.(string)] == nil {
		t.Errorf("there is no service %v, by which daemons reach each other", s)
	}
	pod := at(t, set, "spec", "template", "spec")
	if p := at(t, pod, "containers", 0, "readinessProbe", "httpGet", "path"); p != "/readyz" {
		t.Errorf("readiness: %v", p)
	}
	if p := at(t, pod, "containers", 0, "livenessProbe", "httpGet", "path"); p != "/healthz" {
		t.Errorf("liveness: %v", p)
	}
	if at(t, o["PodDisruptionBudget hooks"], "spec", "maxUnavailable") != float64(1) {
		t.Error("more than one daemon may be disrupted at a time")
	}
	if at(t, o["ServiceMonitor hooks"], "spec", "endpoints", 0, "authorization", "credentials", "key") != "scrape-token" {
		t.Error("Prometheus has no token")
	}
	if o["Job hooks-migrate"] == nil {
		t.Error("nobody makes the schema")
	}
	for name := range o {
		if strings.HasPrefix(name, "Secret ") {
			t.Errorf("the chart renders %s: secrets are the operator's", name)
		}
	}
	settings := at(t, o["ConfigMap hooks"], "data", "fantail.yaml").(string)
	for _, want := range []string{"advertise: http://{name}.hooks-daemons.prod.svc:8080", "shutdown_delay: 10s", "events: 200h"} {
		if !strings.Contains(settings, want) {
			t.Errorf("fantail.yaml lacks %q:\n%s", want, settings)
		}
	}
	// For the test of the product's own module, which validates it.
	if dir := os.Getenv("FANTAIL_HELM_OUT"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "fantail.yaml"), []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
