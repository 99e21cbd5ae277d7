package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestTheREADMEsDownloadRuns: what the first screen downloads is what a release has, by its name; and the
// commands below it run in a folder where it was unpacked.
func TestTheREADMEsDownloadRuns(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	first := regexp.MustCompile("(?s)\n## Download\n.*?```sh\n(curl -fsSL (\\S+) \\| tar -xz\n)(.*?)```").FindStringSubmatch(string(text))
	if first == nil {
		t.Fatal("the README shows no download")
	}
	gomod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	repository := regexp.MustCompile(`(?m)^module (\S+)$`).FindStringSubmatch(string(gomod))[1]
	const name = "fantail_linux_amd64.tar.gz"
	if want := "https://" + repository + "/releases/latest/download/" + name; first[2] != want {
		t.Errorf("the README downloads %s, a release has %s", first[2], want)
	}
	if !strings.Contains(string(text), "`go install "+repository+"/cmd/fantail@latest`") {
		t.Error("the README does not say how to install it with Go")
	}
	for _, p := range strings.Split(everywhere, ",") {
		if name := strings.ReplaceAll(p, "/", "_"); !strings.Contains(string(text), name) {
			t.Errorf("the README does not name %s", name)
		}
	}

	dir := t.TempDir()
	packed, err := filepath.Abs(filepath.Join(dist(t), strings.Replace(name, "amd64", runtime.GOARCH, 1)))
	if err != nil {
		t.Fatal(err)
	}
	commands := strings.Split(strings.TrimSpace(first[3]), "\n")
	if len(commands) != 2 || commands[0]+" --keep" != commands[1] {
		t.Fatalf("the commands are %q", commands)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", "tar -xz <"+packed+"\n"+commands[0]+"\n"+commands[0]+" --help")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Nothing was lost.") || !strings.Contains(string(out), "--keep") {
		t.Errorf("%v\n%s", err, out)
	}
}
