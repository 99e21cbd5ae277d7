package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const (
	rulesFile     = "../../configs/prometheus/fantail.rules.yaml"
	dashboardFile = "../../configs/grafana/fantail.json"
	runbook       = "docs/OPERATIONS.md"
)

// rule is a recording rule or an alert.
type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

type ruleTest struct {
	InputSeries []struct{ Series string } `yaml:"input_series"`
	Alerts      []struct {
		Name string `yaml:"alertname"`
		Exp  []any  `yaml:"exp_alerts"`
	} `yaml:"alert_rule_test"`
}

func readYAML(t *testing.T, name string, v any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func readRules(t *testing.T) (rules []rule) {
	t.Helper()
	var f struct{ Groups []struct{ Rules []rule } }
	readYAML(t, rulesFile, &f)
	for _, g := range f.Groups {
		rules = append(rules, g.Rules...)
	}
	if len(rules) == 0 {
		t.Fatal("there are no rules")
	}
	return rules
}

func readRuleTests(t *testing.T) (tests []ruleTest, files []string) {
	t.Helper()
	files, err := filepath.Glob("../../configs/prometheus/tests/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no tests of the rules: %v", err)
	}
	for _, name := range files {
		var f struct{ Tests []ruleTest }
		readYAML(t, name, &f)
		tests = append(tests, f.Tests...)
	}
	return tests, files
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		t.Fatalf("promtool is missing: run make setup (Debian: apt-get install prometheus): %v", err)
	case err != nil:
		t.Fatalf("promtool %s: %v\n%s", strings.Join(args[:2], " "), err, out)
	}
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	promtool(t, "check", "rules", rulesFile)
	tests, files := readRuleTests(t)
	promtool(t, append([]string{"test", "rules"}, files...)...)
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, c := range tests {
		for _, a := range c.Alerts {
			if len(a.Exp) > 0 {
				fires[a.Name] = true
			} else {
				rests[a.Name] = true
			}
		}
	}
	for _, r := range readRules(t) {
		if r.Alert != "" && !(fires[r.Alert] && rests[r.Alert]) {
			t.Errorf("%s needs a case in which it fires and one in which it does not", r.Alert)
		}
	}
}

// Every alert tells the person who is woken up what to do.
func TestAlertsSayWhatToDo(t *testing.T) {
	text, err := os.ReadFile("../../" + runbook)
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (\w+)$`).FindAllSubmatch(text, -1) {
		anchors[strings.ToLower(string(m[1]))] = true
	}
	var scraped struct {
		Jobs []struct {
			Name string `yaml:"job_name"`
		} `yaml:"scrape_configs"`
	}
	readYAML(t, "../../configs/prometheus/prometheus.yml", &scraped)
	for _, r := range readRules(t) {
		found, _ := selectors(r.Expr)
		for _, s := range found {
			if job, ok := s.labels["job"]; ok && job != scraped.Jobs[0].Name {
				t.Errorf("%s%s looks at the job %s, and what is scraped is %s", r.Alert, r.Record, job, scraped.Jobs[0].Name)
			}
		}
		if r.Alert == "" {
			continue
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s lacks a summary or a description", r.Alert)
		}
		anchor, ok := strings.CutPrefix(r.Annotations["runbook"], runbook+"#")
		if !ok || anchor != strings.ToLower(r.Alert) || !anchors[anchor] {
			t.Errorf("%s points to %q, and %s has no such section", r.Alert, r.Annotations["runbook"], runbook)
		}
	}
}

type dashboard struct {
	UID        string
	Schema     int `json:"schemaVersion"`
	Panels     []panel
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Pos                      struct{ X, Y, W, H int } `json:"gridPos"`
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Datasource               struct{ Type, UID string }
	Targets                  []struct{ Expr, RefID string }
}

func readDashboard(t *testing.T) *dashboard {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	d := new(dashboard)
	if err := json.Unmarshal(text, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// queries lists what the dashboard asks, with values for its variables.
func (d *dashboard) queries() (exprs []string) {
	values := strings.NewReplacer("$__rate_interval", "5m", "$developer", ".*", "$destination", ".*", "$kind", ".*")
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			exprs = append(exprs, values.Replace(target.Expr))
		}
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			metric, _, _ := strings.Cut(strings.TrimPrefix(v.Definition, "label_values("), ", ")
			label := regexp.MustCompile(`, (\w+)\)$`).FindStringSubmatch(v.Definition)
			exprs = append(exprs, "count by ("+label[1]+") ("+values.Replace(metric)+")")
		}
	}
	return exprs
}

func TestDashboardIsWhole(t *testing.T) {
	d := readDashboard(t)
	if d.UID != "fantail" || d.Schema < 39 {
		t.Errorf("uid %q, schema %d: links to the dashboard need the first, Grafana 11 and later the second", d.UID, d.Schema)
	}
	defined := map[string]bool{"__rate_interval": true}
	for _, v := range d.Templating.List {
		defined[v.Name] = true
	}
	for _, name := range []string{"datasource", "developer", "destination", "kind"} {
		if !defined[name] {
			t.Errorf("there is no variable %s", name)
		}
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("panel %d %q: ids are unique, titles a must", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.Pos.X; x < p.Pos.X+p.Pos.W; x++ {
			for y := p.Pos.Y; y < p.Pos.Y+p.Pos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q lies upon %q, or beyond the right edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("%q lacks a description, a unit, a query or the data source", p.Title)
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] {
				t.Errorf("%q has two queries %s", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			for _, m := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !defined[m[1]] {
					t.Errorf("%q asks for the variable %s, which is not there", p.Title, m[1])
				}
			}
		}
	}
}

// Prometheus understands every query of the dashboard.
func TestQueriesOfTheDashboardAreValid(t *testing.T) {
	var rules []map[string]string
	for i, expr := range readDashboard(t).queries() {
		rules = append(rules, map[string]string{"record": "query:" + strings.Repeat("x", i+1), "expr": expr})
	}
	var text bytes.Buffer
	err := yaml.NewEncoder(&text).Encode(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}
