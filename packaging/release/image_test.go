package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// instruction is one of a Dockerfile.
type instruction struct{ name, args string }

// instructions reads a Dockerfile. It knows what ours has, and refuses what it does not know:
// https://docs.docker.com/reference/dockerfile/
func instructions(t *testing.T, text string) (all []instruction) {
	t.Helper()
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, args, ok := strings.Cut(line, " ")
		if !ok || strings.HasSuffix(line, `\`) || !regexp.MustCompile(`^(FROM|RUN|ARG|COPY|USER|WORKDIR|VOLUME|EXPOSE|ENTRYPOINT|CMD)$`).MatchString(name) {
			t.Fatalf("line %d: this test does not know %q", i+1, line)
		}
		all = append(all, instruction{name, args})
	}
	return all
}

// image is what the instructions make.
type image struct {
	*system
	user, workdir    string
	entrypoint, args []string
}

// build does what a Dockerfile says, in a folder: no engine is at hand. Of the stage before the last, the
// folders that it makes are made, and this machine's certificates stand for those of its base image.
func build(t *testing.T, text string) *image {
	t.Helper()
	m := &image{system: &system{t, filepath.Join(t.TempDir(), "image")}}
	base := &system{t, filepath.Join(t.TempDir(), "base")}
	base.folder("etc/ssl/certs", 0o755)
	base.copy("/etc/ssl/certs/ca-certificates.crt")
	vars := map[string]string{"TARGETARCH": runtime.GOARCH}
	stages := 0
	for _, i := range instructions(t, text) {
		switch i.name {
		case "FROM":
			stages++
			if stages == 1 && !regexp.MustCompile(`^--platform=\$BUILDPLATFORM \w+:\d+(\.\d+)+ AS base$`).MatchString(i.args) || stages == 2 && i.args != "scratch" || stages > 2 {
				t.Fatalf("FROM %s", i.args)
			}
			if stages == 2 {
				m.folder(".", 0o755)
			}
		case "RUN":
			if stages != 1 {
				t.Fatal("the image has nothing that could RUN")
			}
			for _, command := range strings.Split(i.args, " && ") {
				made := regexp.MustCompile(`^mkdir -m ([0-7]+) (/\w+)$`).FindStringSubmatch(command)
				if made == nil {
					t.Fatalf("RUN %s", command)
				}
				mode := number(t, "0")
				for _, digit := range made[1] {
					mode = mode<<3 | uint32(digit-'0')
				}
				perm := os.FileMode(mode & 0o777)
				if mode&0o1000 != 0 {
					perm |= os.ModeSticky
				}
				base.folder(made[2], perm)
			}
		case "ARG":
			if name, value, given := strings.Cut(i.args, "="); given {
				vars[name] = value
			} else if vars[name] == "" {
				t.Fatalf("nobody gives ARG %s", name)
			}
		case "COPY":
			m.put(t, base, os.Expand(i.args, func(name string) string {
				if vars[name] == "" {
					t.Fatalf("COPY %s: %s is not set", i.args, name)
				}
				return vars[name]
			}))
		case "USER":
			m.user = i.args
		case "WORKDIR":
			m.workdir = i.args
		case "VOLUME", "EXPOSE":
			if want := map[string]string{"VOLUME": "/var/lib/fantail", "EXPOSE": "8080"}[i.name]; i.args != want {
				t.Errorf("%s %s, want %s", i.name, i.args, want)
			}
		case "ENTRYPOINT", "CMD":
			into := map[string]*[]string{"ENTRYPOINT": &m.entrypoint, "CMD": &m.args}[i.name]
			if err := json.Unmarshal([]byte(i.args), into); err != nil {
				t.Errorf("%s %s would run in a shell, which is not there", i.name, i.args)
			}
		}
	}
	return m
}

// put does what COPY does.
func (m *image) put(t *testing.T, base *system, args string) {
	t.Helper()
	c := regexp.MustCompile(`^(--from=base )?(?:--chown=(\d+):(\d+) )?(\S+) (\S+)$`).FindStringSubmatch(args)
	if c == nil {
		t.Fatalf("COPY %s", args)
	}
	from, to := base.at(c[4]), c[5]
	if c[1] == "" {
		ignored(t, c[4])
		from = filepath.Join(filepath.Dir(dist(t)), c[4])
	}
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(to, "/") {
		to += filepath.Base(c[4])
	}
	if info.IsDir() {
		m.folder(to, info.Mode())
	} else {
		body, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		m.write(to, string(body), info.Mode())
	}
	if c[2] != "" {
		if err := os.Chown(m.at(to), int(number(t, c[2])), int(number(t, c[3]))); err != nil {
			t.Fatal(err)
		}
	}
}

// ignored fails when .dockerignore keeps a file from the builder.
func ignored(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile("../../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\n!"+name+"\n") {
		t.Errorf(".dockerignore does not let %s through", name)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTheImageServesAsAUserWithoutRights: what the Dockerfile puts together out of a release's binaries
// runs, as the user whom it names, with settings that they cannot write.
func TestTheImageServesAsAUserWithoutRights(t *testing.T) {
	if !asRoot(t) {
		return
	}
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	m := build(t, string(text))
	if m.user != "65532:65532" || len(m.entrypoint) != 1 || len(m.args) == 0 {
		t.Fatalf("it runs %v %v as %q", m.entrypoint, m.args, m.user)
	}
	m.owned("/var/lib/fantail", 65532, 65532, 0o700)
	m.owned("/tmp", 65532, 65532, 0o777|os.ModeSticky)
	m.owned("/usr/local/bin/fantail", 0, 0, 0o755)
	if n := len(files(t, m.system.dir)); n != 2 {
		t.Errorf("the image has %d files, want the program and the certificates", n)
	}

	agents := make(chan string, 1)
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { agents <- r.UserAgent() }))
	defer far.Close()
	api := servers.Address(t)
	m.write("/etc/fantail/fantail.yaml", "listen: "+api+"\negress: { allow: [127.0.0.0/8] }\nkeys: [\"${file:/var/lib/fantail/fantail.key}\"]\nstore: { pebble: { dir: /var/lib/fantail/store } }\n", 0o444)
	m.write("/etc/fantail/developers/acme.yaml", "developer: acme\ndestinations:\n  - { name: app, kind: webhook, settings: { url: \""+far.URL+"\", secret: a-secret-of-acme, allow_http: true } }\n", 0o444)
	c, stop := m.daemon(m.command(65532, 65532, m.workdir, append(m.entrypoint, m.args...)...), api)
	if _, err := c.Send(t.Context(), client.SendRequest{Developer: "acme", Body: []byte(`{"type":"sleep","user":{"user_id":"u1"},"data":[]}`)}); err != nil {
		t.Error(err)
	}
	if got, want := <-agents, "Fantail/"+strings.TrimPrefix(testVersion, "v"); got != want {
		t.Errorf("a destination sees the User-Agent %q, want %q", got, want)
	}
	if want := `fantail_build_info{commit="` + testCommit + `",date="` + testDate + `",go="` + runtime.Version() + `",version="` + testVersion + "\"} 1\n"; !strings.Contains(get(t, "http://"+api+"/metrics"), want) {
		t.Errorf("the metrics lack %s", want)
	}
	stop()
	m.owned("/var/lib/fantail/fantail.key", 65532, 65532, 0o600)
	m.owned("/etc/fantail/fantail.yaml", 0, 0, 0o444)
	out, err := m.command(65532, 65532, m.workdir, append(m.entrypoint, "version")...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), testVersion) {
		t.Error(errors.Join(err, errors.New(string(out))))
	}
}
