package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// blocks returns the code of one language in a section of a page.
func blocks(t *testing.T, page, section, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+section+"\n")
	if !found {
		t.Fatalf("%s has no section %q", page, section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var code []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(rest, -1) {
		code = append(code, m[1])
	}
	return code
}

// tourProgram puts bin/fantail into a folder: the binary of these tests as the program. The end of the
// test ends everything that it started, whatever the script did.
func tourProgram(t *testing.T, dir string) (pids string) {
	t.Helper()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	pids = filepath.Join(dir, "pids")
	script := "#!/bin/sh\necho $$ >>'" + pids + "'\n" + asProgram + "=1 exec '" + self + "' \"$@\"\n"
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "fantail"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, pid := range running(t, pids) {
			t.Errorf("process %d was left behind", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return pids
}

// running lists the processes of the file that have not ended.
func running(t *testing.T, pids string) (all []int) {
	t.Helper()
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		if exe, err := os.Readlink("/proc/" + line + "/exe"); err == nil && exe == self {
			all = append(all, pid)
		}
	}
	return all
}

// TestTheTourDelivers pastes the README's five minutes into a shell as they stand there. An interactive
// zsh, as on every Mac, takes no comments.
func TestTheTourDelivers(t *testing.T) {
	for name, shell := range map[string][]string{"bash": {"bash", "--norc", "-i", "-s"}, "zsh": {"zsh", "-f", "-i", "-s"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code := strings.Join(blocks(t, "README.md", "Five minutes", "sh"), "")
			build := "go build -o bin/fantail ./cmd/fantail\n"
			if !strings.HasPrefix(code, build) {
				t.Fatalf("the tour does not begin with %q", build)
			}
			api, hooks := servers.Address(t), servers.Address(t)
			code = strings.NewReplacer("127.0.0.1:8080", api, "127.0.0.1:9000", hooks).Replace(strings.TrimPrefix(code, build))

			dir := t.TempDir()
			pids := tourProgram(t, dir)
			cmd := exec.CommandContext(t.Context(), shell[0], shell[1:]...)
			cmd.Dir, cmd.Stdin = dir, strings.NewReader(code+"wait\n")
			cmd.Env = append(os.Environ(), "FANTAIL_SERVER=http://"+api, "PS1=", "PS2=", "HOME="+dir, "HISTFILE=")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			var out, said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &said
			if err := cmd.Run(); err != nil {
				t.Errorf("%v", err)
			}
			for _, want := range []string{
				"is in order: 1 developer, 1 destination", "HTTP/1.1 202 Accepted", "  500  failed on purpose, signature verified  ",
				"retried 1 delivery\n", "result       delivered\n", "balanced", "fantail_deliveries_total{",
			} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the tour does not show %q", want)
				}
			}
			if n := len(regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d  200  delivered, signature verified  +(sleep|daily)  `).FindAllString(out.String(), -1)); n < 2 {
				t.Errorf("%d deliveries arrived before the stream, want 2", n)
			}
			if !regexp.MustCompile(`Received \d+ requests: \d+ delivered, 1 failed, 0 refused`).MatchString(said.String()) {
				t.Error("the receiver's summary is missing, or some were refused")
			}
			if bad := regexp.MustCompile(`(?m)^.*(?:not found|no matches|parse error|syntax error|level=ERROR).*$`).FindString(said.String()); bad != "" {
				t.Errorf("the tour says: %s", bad)
			}
			if left := running(t, pids); len(left) > 0 {
				t.Errorf("%d processes outlive the tour", len(left))
			}
			if t.Failed() {
				t.Logf("output:\n%s\nerrors:\n%s", &out, &said)
			}
		})
	}
}
