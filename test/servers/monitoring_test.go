package servers

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/all"
	fantail "github.com/seed-51f8da91/fantail/internal/cli"
)

func TestComposeSettingsOfFantailAreValid(t *testing.T) {
	s := loadCompose(t).Services["fantail"]
	for name, value := range s.Environment {
		t.Setenv(name, *value)
	}
	var out bytes.Buffer
	if code := fantail.Run(t.Context(), []string{"validate", "--config", "../../configs/compose/fantail.yaml"}, strings.NewReader(""), &out, &out, all.Destinations()); code != 0 {
		t.Errorf("validate: %s", &out)
	}
}

func TestPrometheusScrapesFantail(t *testing.T) {
	out, err := exec.Command("promtool", "check", "config", "--syntax-only", "../../configs/prometheus/prometheus.yml").CombinedOutput()
	if err != nil {
		t.Fatalf("promtool, which make setup installs: %v\n%s", err, out)
	}
	p := loadCompose(t)
	scraper, token := readFile(t, "../../configs/prometheus/prometheus.yml"), p.Services["prometheus"].Configs[0]
	host, port, _ := strings.Cut(find1(t, scraper, `targets: \["(\S+)"\]`), ":")
	if _, ok := p.Services[host]; !ok || find1(t, readFile(t, "../../configs/compose/fantail.yaml"), `^listen: \S+:(\d+)$`) != port {
		t.Errorf("Prometheus asks %s:%s, where Fantail is not", host, port)
	}
	if find1(t, scraper, `credentials_file: (\S+)`+" ") != token.Target || p.Configs[token.Source].Content != *p.Services["fantail"].Environment["FANTAIL_SCRAPE_TOKEN"] {
		t.Error("Prometheus has another token than Fantail")
	}
}

func TestGrafanaAsksPrometheus(t *testing.T) {
	p := loadCompose(t)
	const provisioning = "../../configs/grafana/provisioning/"
	if host := find1(t, readFile(t, provisioning+"datasources/prometheus.yaml"), `url: http://(\S+):9090$`); p.Services[host].Name == "" {
		t.Errorf("no service %s", host)
	}
	mounted := p.Services["grafana"].Volumes[0]
	if got := find1(t, readFile(t, provisioning+"dashboards/fantail.yaml"), `path: (\S+)$`); got != mounted.Target {
		t.Errorf("dashboards are read from %s, mounted at %s", got, mounted.Target)
	}
	if got := *p.Services["grafana"].Environment["GF_PATHS_PROVISIONING"]; got != mounted.Target+"/provisioning" {
		t.Errorf("provisioning is read from %s", got)
	}
	if _, err := os.Stat(provisioning + "datasources/prometheus.yaml"); err != nil {
		t.Error(err)
	}
}
