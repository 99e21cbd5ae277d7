package scale

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/seed-51f8da91/fantail/internal/config"
)

func settingsOf(t *testing.T, text string, files map[string]string) *config.Daemon {
	t.Helper()
	dir := t.TempDir()
	files["fantail.yaml"] = text
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := config.LoadDaemon(filepath.Join(dir, "fantail.yaml"))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return d
}

func file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The compose file with two daemons has settings that are valid, and leaves a daemon the time that
// its stop takes; the balancer's settings are such that HAProxy takes them.
func TestComposeOfSeveralDaemonsIsSound(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{"../../docker-compose.scale.yml"}, cli.WithoutEnvironmentResolution)
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range p.Services["fantail-0"].Environment {
		t.Setenv(name, *value)
	}
	d := settingsOf(t, file(t, "../../configs/compose/scale/fantail.yaml"), map[string]string{})
	own := map[string]bool{}
	for _, s := range p.Services {
		for _, port := range s.Ports {
			if at, err := netip.ParseAddr(port.HostIP); err != nil || !at.IsLoopback() {
				t.Errorf("%s is published at %q", s.Name, port.HostIP)
			}
		}
		if _, tag, _ := strings.Cut(s.Image, ":"); s.Build == nil && (tag == "" || tag == "latest") {
			t.Errorf("%s: image %s names no version", s.Name, s.Image)
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				if _, err := os.Stat(v.Source); err != nil || !v.ReadOnly {
					t.Errorf("%s mounts %s, read only %t: %v", s.Name, v.Source, v.ReadOnly, err)
				}
			}
		}
		if !strings.HasPrefix(s.Name, "fantail-") {
			continue
		}
		if s.Hostname != s.Name {
			t.Errorf("%s has the host name %q: others reach it at %s", s.Name, s.Hostname, d.Store.Postgres.Advertise)
		}
		if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < d.ShutdownDelay+d.ShutdownGrace {
			t.Errorf("%s is killed before %v are over", s.Name, d.ShutdownDelay+d.ShutdownGrace)
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeVolume {
				own[v.Source] = true
			}
		}
	}
	if len(own) != 2 {
		t.Errorf("volumes of the daemons' own: %v", own)
	}
	balancer := file(t, "../../configs/compose/scale/haproxy.cfg")
	for _, name := range []string{"fantail-0", "fantail-1"} {
		if _, there := p.Services[name]; !there || !strings.Contains(balancer, "server "+name+" "+name+":8080 check") {
			t.Errorf("the balancer does not know %s", name)
		}
	}
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(path, []byte(regexp.MustCompile(`fantail-\d:`).ReplaceAllString(balancer, "127.0.0.1:")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "/usr/sbin/haproxy", "-c", "-f", path).CombinedOutput(); err != nil {
		t.Errorf("HAProxy does not take its settings: %v\n%s", err, out)
	}
}

// The settings that the chart renders are valid. That it renders is what test/helm shows.
func TestTheChartsSettingsAreSound(t *testing.T) {
	text := file(t, "../../configs/helm/fantail/templates/config.yaml")
	values := file(t, "../../configs/helm/fantail/values.yaml")
	_, text, _ = strings.Cut(text, "fantail.yaml: |\n")
	text = regexp.MustCompile(`(?m)^ *\{\{-.*\n`).ReplaceAllString(text, "")
	text = strings.NewReplacer("{{ .Release.Name }}", "hooks", "{{ .Release.Namespace }}", "prod",
		"{{ .Values.shutdownDelay }}", regexp.MustCompile(`shutdownDelay: (\S+)`).FindStringSubmatch(values)[1],
		"{{ .Values.shutdownGrace }}", regexp.MustCompile(`shutdownGrace: (\S+)`).FindStringSubmatch(values)[1]).Replace(text)
	text = strings.ReplaceAll(text, "\n    ", "\n")
	d := settingsOf(t, strings.TrimPrefix(text, "    "), map[string]string{
		"store-url": "postgres://u:p@db/fantail", "fantail.key": strings.Repeat("k", 32),
		"operator-token": "operator-operator-1", "producer-token": "producer-producer-1", "scrape-token": "scrape-scrape-scrape-1",
	})
	if got := d.Store.Postgres.Advertise; !strings.HasSuffix(got, ".hooks-daemons.prod.svc:8080") || strings.Contains(got, "{") {
		t.Errorf("others reach it at %s", got)
	}
	if sum := d.ShutdownDelay + d.ShutdownGrace; sum > 55*time.Second {
		t.Errorf("a pod is killed after 60 s, and the stop may take %v", sum)
	}
}
