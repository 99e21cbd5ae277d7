package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// machine is a folder that stands for the machine on which docs/OPERATIONS.md is run. Its paths lie
// below the folder, and small scripts stand for what only root or systemd could do. Everything else,
// curl and fantail above all, is real.
type machine struct {
	t       *testing.T
	dir     string
	replace *strings.Replacer // of the page's paths and addresses
}

func newMachine(t *testing.T, api string) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir()}
	_, port, _ := strings.Cut(api, ":")
	m.replace = strings.NewReplacer(
		"/var/lib/fantail", m.dir+"/var", "/etc/fantail", m.dir+"/etc", "/etc/systemd/system", m.dir+"/units", "/usr/local/bin", m.dir+"/bin",
		"events.example.com:8443", "localhost:"+port, "0.0.0.0:8443", api)
	for _, folder := range []string{"var", "units", "src/developers", "src/configs"} {
		if err := os.MkdirAll(filepath.Join(m.dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	units, err := filepath.Abs("../../configs/systemd")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(units, filepath.Join(m.dir, "src/configs/systemd")); err != nil {
		t.Fatal(err)
	}
	m.script("useradd", "exit 0")
	m.script("chown", "exit 0")
	m.script("chgrp", "exit 0")
	m.script("journalctl", `cat "$M/log"`)
	m.script("go", `mkdir -p bin && cp "$M/bin/fantail" bin/fantail`) // what is built is the binary of these tests
	m.script("runuser", `while [ "$1" != -- ]; do shift; done; shift; exec "$@"`)
	m.script("install", `for a in "$@"; do shift; case $a in -g) drop=1 ;; *) if [ -z "$drop" ]; then set -- "$@" "$a"; fi; drop= ;; esac; done; exec /usr/bin/install "$@"`)
	m.script("systemctl", `
case "$*" in
daemon-reload | "status "* | "enable --now fantail-backup.timer") ;;
"start fantail-backup.service") # as the unit says
	(set -a; . "$M/etc/operator"; FOLDER="$M/var/backups" exec "$(sed -n 's|^ExecStart=/usr/local|'"$M"'|p' "$M/units/fantail-backup.service")") ;;
"enable --now fantail" | "start fantail") # with the command line of the unit
	(set -a; . "$M/etc/environment"; cd "$M/var"; exec $(sed -n 's|^ExecStart=/usr/local|'"$M"'|p' "$M/units/fantail.service" | sed "s|/etc/fantail|$M/etc|")) >>"$M/log" 2>&1 &
	echo $! >"$M/pid" ;;
"stop fantail")
	kill -TERM "$(cat "$M/pid")"
	while kill -0 "$(cat "$M/pid")" 2>/dev/null; do sleep 0.05; done ;;
"reload fantail") kill -HUP "$(cat "$M/pid")" ;;
*) echo "systemctl $*: the test does not know it" >&2; exit 1 ;;
esac`)
	tourProgram(t, m.dir)
	return m
}

// script puts a program into the machine's bin.
func (m *machine) script(name, body string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Join(m.dir, "bin"), 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dir, "bin", name), []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		m.t.Fatal(err)
	}
}

// run runs a script as a shell of root would, and ends at the first command that fails.
func (m *machine) run(script string) string {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), "bash", "--norc", "-euxo", "pipefail", "-s")
	cmd.Dir, cmd.Stdin = filepath.Join(m.dir, "src"), strings.NewReader(script)
	cmd.Env = append(os.Environ(), "PATH="+m.dir+"/bin:"+os.Getenv("PATH"), "M="+m.dir, "HOME="+m.dir,
		"SSL_CERT_FILE="+m.dir+"/src/tls.crt", "CURL_CA_BUNDLE="+m.dir+"/src/tls.crt")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		log, _ := os.ReadFile(filepath.Join(m.dir, "log"))
		m.t.Fatalf("%v\n%s\nthe daemon's log:\n%s", err, &out, log)
	}
	return out.String()
}

// TestOperationsRuns runs docs/OPERATIONS.md: it starts the settings that the page
// shows, and runs every command of its blocks and of its text, with the tokens,
// the certificate and the address of the page.
func TestOperationsRuns(t *testing.T) {
	t.Parallel()
	api, hooks := servers.Address(t), servers.Address(t)
	m := newMachine(t, api)
	page := readOperations(t)
	var script strings.Builder
	settings := ""
	for _, b := range regexp.MustCompile("(?ms)^```(sh|yaml)\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		switch language, code := b[1], m.replace.Replace(b[2]); {
		case language == "yaml" && strings.HasPrefix(code, "listen: "):
			settings = code
		case language == "yaml" && strings.HasPrefix(code, "keys: "):
			fmt.Fprintf(&script, "sed -i 's|^keys:.*|%s|' %s/etc/fantail.yaml\n", strings.TrimSpace(code), m.dir)
		case language == "yaml":
			t.Errorf("the test does not know what to do with %s", code)
		case strings.Contains(code, "docker "):
		default:
			script.WriteString(code)
		}
	}
	h := &home{t: t, dir: filepath.Join(m.dir, "src")}
	h.certificate(1)
	for from, to := range map[string]string{"api.crt": "tls.crt", "api.key": "tls.key"} {
		if err := os.Rename(filepath.Join(h.dir, from), filepath.Join(h.dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	h.write("fantail.yaml", settings+"egress: { allow: [127.0.0.0/8] } # the endpoint below is on this machine\n")
	h.write("developers/acme.yaml", webhook("acme", "http://"+hooks+"/", "a-secret-of-acme", ""))

	// One event from before the backup must be there after the restore.
	whole := script.String()
	backup := "fantail backup " + m.dir + "/var/backups/2026-07-01\n"
	if !strings.Contains(whole, backup) {
		t.Fatal("the page makes no backup, or this test does not find it")
	}
	whole = strings.Replace(whole, backup, "echo '{\"type\":\"sleep\"}' | fantail send --developer acme --ndjson -\n"+backup, 1)
	receive := fmt.Sprintf("fantail receive --listen %s --secret a-secret-of-acme >\"$M/hooks.log\" 2>&1 &\necho $! >\"$M/hooks\"\n", hooks)
	out := m.run(receive + whole)
	for _, want := range []string{"accepted 1, duplicates 0", "The backup is in " + m.dir + "/var/backups/2026-07-01.", "The store is in " + m.dir + "/var/store.", "balanced", "The settings were reloaded.",
		"acme/app", "is in order: 1 developer, 1 destination"} {
		if !strings.Contains(out, want) {
			t.Errorf("the page does not show %q:\n%s", want, out)
		}
	}
	if kept, err := filepath.Glob(m.dir + "/var/backups/2*Z"); err != nil || len(kept) != 1 {
		t.Errorf("the timer's service made %v, %v", kept, err)
	}

	// Commands in the page's text, such as those for alerts.
	var lines strings.Builder
	ran := map[string]bool{}
	for _, c := range regexp.MustCompile("`fantail ([a-z][^`\n]*)`").FindAllStringSubmatch(page, -1) {
		line := m.replace.Replace(c[1])
		if name, _, whole := strings.Cut(line, " "); ran[line] || name == "serve" || !whole && name != "destinations" && name != "check" {
			continue // one word alone names a command, whatever that needs
		}
		ran[line] = true
		fmt.Fprintf(&lines, "fantail %s\n", line)
	}
	if len(ran) < 8 {
		t.Errorf("the text has %d commands only: %v", len(ran), ran)
	}
	const operator = "set +x -a; . \"$M/etc/environment\"; . \"$M/etc/operator\"; set -x +a\n"
	m.run(operator + lines.String())

	// The timer keeps the backups that it says it keeps.
	m.run(operator + `
for day in 01 02 03 04 05 06 07 08 09; do mkdir "$M/var/backups/2026-06-${day}T000000Z"; done
next() { while [ -e "$M/var/backups/$(date -u +%Y-%m-%dT%H%M%SZ)" ]; do sleep 0.1; done; } # their names are seconds
next; KEEP=3 FOLDER="$M/var/backups" fantail-backup
next; if AFTER=false KEEP=1 FOLDER="$M/var/backups" fantail-backup; then exit 1; fi`)
	kept, err := filepath.Glob(m.dir + "/var/backups/*")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range kept {
		names = append(names, filepath.Base(k))
	}
	if all := strings.Join(names, " "); len(names) != 5 || strings.Contains(all, "2026-06-08T") || !strings.Contains(all, "2026-07-01") {
		t.Errorf("kept %s, want the folder of the page, the three newest, and that of the backup whose copy failed", all)
	}
	m.run("systemctl stop fantail; kill \"$(cat \"$M/hooks\")\"; while kill -0 \"$(cat \"$M/hooks\")\" 2>/dev/null; do sleep 0.05; done")
}
