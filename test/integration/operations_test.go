package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/cli"
)

func readOperations(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../" + runbook)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// command runs a command line and returns its exit code and all that it says.
func command(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	code := cli.Run(t.Context(), args, strings.NewReader(""), &out, &out, all.Destinations())
	return code, out.String()
}

// Every command of the page exists, with its flags, and so does the unit's command.
func TestOperationsNamesCommandsThatExist(t *testing.T) {
	unit, err := os.ReadFile("../../configs/systemd/fantail.service")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile("(?m)(?:^|-- |`|; )fantail ([a-z][^`\n]*)").FindAllStringSubmatch(readOperations(t), -1)
	lines = append(lines, regexp.MustCompile(`(?m)^ExecStart=\S+/fantail (.*)$`).FindAllStringSubmatch(string(unit), -1)...)
	seen := map[string]bool{}
	for _, m := range lines {
		args := strings.Fields(m[1])
		seen[args[0]] = true
		if code, out := command(t, append(args, "--help")...); code != 0 || !strings.Contains(out, "fantail "+args[0]) {
			t.Errorf("fantail %s: %d %s", m[1], code, out)
		}
	}
	for _, name := range []string{"serve", "backup", "restore", "retry", "destinations"} {
		if !seen[name] {
			t.Errorf("the page does not use %s, or this test does not find it", name)
		}
	}
}

// The settings that the page shows are whole and valid.
func TestOperationsShowsValidSettings(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(listen: .*?)```").FindStringSubmatch(readOperations(t))
	if blocks == nil {
		t.Fatal("the page shows no fantail.yaml")
	}
	for _, name := range []string{"PRODUCER", "OPERATOR", "SCRAPE"} {
		t.Setenv("FANTAIL_"+name+"_TOKEN", "made-up-token-of-"+name)
	}
	h := newHome(t)
	h.certificate(1)
	// The test may neither read nor need files of this machine below these folders.
	h.write("fantail.yaml", strings.NewReplacer("/var/lib/fantail", h.dir, "/etc/fantail/tls", h.dir+"/api", "/etc/fantail", h.dir).Replace(blocks[1]))
	h.write("developers/acme.yaml", "developer: acme\n")
	if code, out := command(t, "validate", "--config", filepath.Join(h.dir, "fantail.yaml")); code != 0 {
		t.Error(out)
	}
}

// The settings that the page of settings shows are valid together.
func TestConfigurationShowsValidSettings(t *testing.T) {
	page, err := os.ReadFile("../../docs/CONFIGURATION.md")
	if err != nil {
		t.Fatal(err)
	}
	h := newHome(t)
	daemon, developers := "", 0
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		if strings.HasPrefix(block[1], "developer:") {
			h.write("developers/acme.yaml", block[1])
			developers++
		} else {
			daemon += block[1]
		}
	}
	h.write("fantail.yaml", daemon)
	h.write("secrets/acme/app.key", "made-up-secret-of-acme")
	code, out := command(t, "validate", "--config", filepath.Join(h.dir, "fantail.yaml"))
	if code != 0 || developers != 1 || !strings.Contains(daemon, "types:") || !strings.Contains(daemon, "listen:") {
		t.Errorf("exit %d, %d developers: %s", code, developers, out)
	}
}

// The page explains the metrics that the daemon has.
func TestOperationsExplainsMetricsThatExist(t *testing.T) {
	there := scrape(t, startBusy(t)).withShared(t)
	rows := regexp.MustCompile("(?m)^\\| (`fantail_.*?) \\|").FindAllStringSubmatch(readOperations(t), -1)
	if len(rows) == 0 {
		t.Fatal("the page has no table of metrics")
	}
	for _, row := range rows {
		for _, m := range regexp.MustCompile(`(fantail_\w+)(?:\{(.*?)\})?`).FindAllStringSubmatch(row[1], -1) {
			name := m[1]
			if there[name] == nil {
				name += "_count"
			}
			if there[name] == nil {
				t.Errorf("there is no metric %s", m[1])
				continue
			}
			for _, label := range strings.FieldsFunc(m[2], func(c rune) bool { return c == ',' }) {
				if there[name][label] == nil {
					t.Errorf("%s has no label %s", m[1], label)
				}
			}
		}
	}
}

// systemd gives the daemon the time to stop that the daemon takes.
func TestUnitWaitsForTheGrace(t *testing.T) {
	unit, err := os.ReadFile("../../configs/systemd/fantail.service")
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)s$`).FindSubmatch(unit); m == nil || len(m[1]) < 2 || string(m[1]) <= "25" {
		t.Errorf("TimeoutStopSec is %s; shutdown_grace is 25 s by default", m)
	}
}
