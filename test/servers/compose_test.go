package servers

import (
	"context"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/go-sql-driver/mysql"
)

func loadCompose(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../../docker-compose.yml"}, cli.WithoutEnvironmentResolution)
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// find1 returns what the only group of a pattern matches.
func find1(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile("(?m)" + pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("nothing matches %s", pattern)
	}
	return m[1]
}

func TestComposeImagesAreThoseOfTheStarters(t *testing.T) {
	p := loadCompose(t)
	gomod, requirements := readFile(t, "../../go.mod"), readFile(t, "python/requirements.txt")
	want := map[string]string{
		"localstack": "localstack/localstack:" + find1(t, requirements, `^localstack-core==(\S+)$`),
		"gcs":        "fsouza/fake-gcs-server:" + find1(t, gomod, `fsouza/fake-gcs-server v(\S+)$`),
		"mysql":      "mysql:8.4",
		"fantail":    "fantail",
	}
	for name, image := range want {
		if got := p.Services[name].Image; got != image {
			t.Errorf("%s runs %s, the starters and go.mod say %s", name, got, image)
		}
	}
	names := slices.Sorted(maps.Keys(p.Services))
	if want := []string{"fantail", "gcs", "grafana", "localstack", "mysql", "postgres", "prometheus"}; !slices.Equal(names, want) {
		t.Errorf("services %v, want %v", names, want)
	}
	for _, s := range p.Services {
		if _, tag, _ := strings.Cut(s.Image, ":"); s.Build == nil && (tag == "" || tag == "latest") {
			t.Errorf("%s: image %s names no version", s.Name, s.Image)
		}
	}
	if b := p.Services["fantail"].Build; b == nil || b.Args["BINARIES"] == nil || *b.Args["BINARIES"] != "bin" {
		t.Errorf("fantail is built with %+v, not of what make image puts into bin/", b)
	}
}

func TestComposeSetsLocalStackUpAsTheStarterDoes(t *testing.T) {
	env := loadCompose(t).Services["localstack"].Environment
	for _, setting := range localstackSettings {
		name, value, _ := strings.Cut(setting, "=")
		if got := env[name]; got == nil || *got != value {
			t.Errorf("%s is not %s", name, value)
		}
	}
}

func TestComposeMountsWhatExistsAndPublishesOnLoopback(t *testing.T) {
	for _, s := range loadCompose(t).Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if i, err := os.Stat(v.Source); err != nil || !i.IsDir() {
				t.Errorf("%s mounts %s: %v", s.Name, v.Source, err)
			}
			if !v.ReadOnly {
				t.Errorf("%s may write to %s", s.Name, v.Source)
			}
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" || port.Published == "" {
				t.Errorf("%s: port %d is published at %s:%s", s.Name, port.Target, port.HostIP, port.Published)
			}
		}
		if s.Build != nil {
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Error(err)
			}
		}
	}
}

// The variables of test.env are those that the starters read. Each points at a published port of the
// service that has the same password.
func TestComposeIsWhereTestEnvSays(t *testing.T) {
	p := loadCompose(t)
	read := variablesRead(t)
	env := testEnv(t)
	service := map[string]string{
		"FANTAIL_TEST_AWS_ENDPOINT": "localstack", "FANTAIL_TEST_SQS_ENDPOINT": "localstack", "FANTAIL_TEST_GCS_ENDPOINT": "gcs",
		"FANTAIL_TEST_POSTGRES_DSN": "postgres", "FANTAIL_TEST_MYSQL_DSN": "mysql",
	}
	if got, want := slices.Sorted(maps.Keys(env)), slices.Sorted(maps.Keys(service)); !slices.Equal(got, want) {
		t.Errorf("test.env sets %v, want %v", got, want)
	}
	for name, value := range env {
		if !read[name] {
			t.Errorf("nothing reads %s", name)
		}
		s := p.Services[service[name]]
		host, password := address(t, name, value)
		if !slices.ContainsFunc(s.Ports, func(port types.ServicePortConfig) bool {
			return net.JoinHostPort(port.HostIP, port.Published) == host
		}) {
			t.Errorf("%s: %s publishes nothing at %s", name, s.Name, host)
		}
		for _, variable := range []string{"POSTGRES_PASSWORD", "MYSQL_ROOT_PASSWORD"} {
			if want := s.Environment[variable]; want != nil && *want != password {
				t.Errorf("%s: another password than %s's", name, s.Name)
			}
		}
	}
	for name, variable := range map[string]string{"localstack": "LOCALSTACK_HOST"} {
		if host, _ := address(t, "", env["FANTAIL_TEST_AWS_ENDPOINT"]); *p.Services[name].Environment[variable] != host {
			t.Errorf("%s is not %s", variable, host)
		}
	}
	if gcs := env["FANTAIL_TEST_GCS_ENDPOINT"]; !slices.Contains(p.Services["gcs"].Command, gcs) {
		t.Errorf("fake-gcs-server does not know its address %s", gcs)
	}
}

func address(t *testing.T, name, value string) (host, password string) {
	t.Helper()
	if name == "FANTAIL_TEST_MYSQL_DSN" {
		c, err := mysql.ParseDSN(value)
		if err != nil {
			t.Fatal(err)
		}
		return c.Addr, c.Passwd
	}
	u, err := url.Parse(value)
	if err != nil {
		t.Fatal(err)
	}
	password, _ = u.User.Password()
	return u.Host, password
}

// testEnv reads test.env as make does: with a shell.
func testEnv(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command("/bin/sh", "-c", "env -i /bin/sh -c 'set -a; . ../../configs/compose/test.env; env'").Output()
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), "="); strings.HasPrefix(name, "FANTAIL_") {
			env[name] = value
		}
	}
	return env
}

// variablesRead returns the variables that the starters read.
func variablesRead(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		for _, m := range regexp.MustCompile(`"(FANTAIL_TEST_[A-Z0-9_]+)"`).FindAllStringSubmatch(readFile(t, f), -1) {
			read[m[1]] = true
		}
	}
	return read
}

func TestREADMEListsTheVariables(t *testing.T) {
	readme := readFile(t, "README.md")
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("`(FANTAIL_TEST_[A-Z0-9_]+)`").FindAllStringSubmatch(readme, -1) {
		listed[m[1]] = true
	}
	if read := variablesRead(t); !maps.Equal(read, listed) {
		t.Errorf("read %v, listed %v", slices.Sorted(maps.Keys(read)), slices.Sorted(maps.Keys(listed)))
	}
}
