package servers

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/seed-51f8da91/fantail/destinations/all"
)

const composeFolder = "../../configs/compose/"

// TestComposeDemonstratesEveryKind: the developer of the compose file delivers
// to every kind that one of its services can serve.
func TestComposeDemonstratesEveryKind(t *testing.T) {
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^    kind: (\S+)$`).FindAllStringSubmatch(readFile(t, composeFolder+"developers/demo.yaml"), -1) {
		got = append(got, m[1])
	}
	slices.Sort(got)
	kinds := all.Destinations()
	delete(kinds, "supabase") // a platform, of which compose starts nothing
	if want := slices.Sorted(maps.Keys(kinds)); !slices.Equal(got, want) {
		t.Errorf("demo.yaml has %v, want %v", got, want)
	}
}

// TestComposeDemoIsServed: each address in demo.yaml is that of a service, with its port within the
// network and its password. The places that events are delivered to are made.
func TestComposeDemoIsServed(t *testing.T) {
	p, demo := loadCompose(t), readFile(t, composeFolder+"developers/demo.yaml")
	text := demo
	for name, value := range p.Services["fantail"].Environment {
		if strings.HasPrefix(name, "FANTAIL_DEV_DEMO_") {
			text += fmt.Sprintf("\n%s", *value)
			if !strings.Contains(demo, "${env:"+name+"}") {
				t.Errorf("demo.yaml does not use %s", name)
			}
		}
	}
	served := map[string]bool{}
	for _, m := range regexp.MustCompile(`\w+://(?:(\w+):([\w-]+)@)?([\w.]+):(\d+)`).FindAllStringSubmatch(text, -1) {
		password, host, port := m[2], m[3], m[4]
		if host == "host.docker.internal" {
			continue
		}
		served[host] = true
		s := p.Services[host]
		if !slices.ContainsFunc(s.Ports, func(p types.ServicePortConfig) bool { return fmt.Sprint(p.Target) == port }) {
			t.Errorf("demo.yaml asks %s:%s, where nothing is", host, port)
		}
		for _, variable := range []string{"POSTGRES_PASSWORD", "MYSQL_ROOT_PASSWORD"} {
			if want := s.Environment[variable]; want != nil && *want != password {
				t.Errorf("another password than %s's", host)
			}
		}
	}
	if want := map[string]bool{"localstack": true, "gcs": true, "postgres": true, "mysql": true}; !maps.Equal(served, want) {
		t.Errorf("demo.yaml delivers to %v, want %v", served, want)
	}

	script := p.Services["localstack"].Volumes[0].Source + "/demo.sh"
	if i, err := os.Stat(script); err != nil || i.Mode().Perm()&0o111 != 0o111 {
		t.Errorf("LocalStack cannot run its script: %v", err)
	}
	for setting, made := range map[string]string{"bucket": "create-bucket --bucket ", "queue": "create-queue --queue-name "} {
		if want := made + find1(t, demo, `^      `+setting+`: (\S+)$`) + "\n"; !strings.Contains(readFile(t, script), want) {
			t.Errorf("LocalStack does not %s", want)
		}
	}
	if i, err := os.Stat(p.Services["gcs"].Volumes[0].Source + "/" + find1(t, demo, `kind: gcs\n    settings:\n      bucket: (\S+)$`)); err != nil || !i.IsDir() {
		t.Errorf("fake-gcs-server makes no such bucket: %v", err)
	}
	if got, want := *p.Services["mysql"].Environment["MYSQL_DATABASE"], find1(t, text, `mysql://[^/]*/(\w+)`); got != want {
		t.Errorf("MySQL makes the database %s, want %s", got, want)
	}
}
