package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// run runs a command and returns what it printed.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out)
}

// nodeBin is a Node.js that the TypeScript client supports: the system's, where it is not too old.
func nodeBin(t *testing.T) string {
	t.Helper()
	bin, err := exec.LookPath("node")
	if err == nil {
		m := regexp.MustCompile(`^v(\d+)\.`).FindStringSubmatch(run(t, ".", nil, bin, "--version"))
		if major, _ := strconv.Atoi(m[1]); major >= 20 {
			return bin
		}
	}
	return servers.Node(t)
}

// environment is what a suite is told.
func environment(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "signatures.json")
	text, err := json.Marshal(signatures(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(servers.Address(t), ":") // of the README's receiver
	return []string{"FANTAIL_URL=" + daemon(t), "FANTAIL_TOKEN=" + token, "FANTAIL_SIGNATURES=" + path, "PORT=" + port, "NO_PROXY=127.0.0.1"}
}

// TestTypeScript packs the client, installs it into an empty project, checks its types there, and runs
// its suite and the README's code.
func TestTypeScript(t *testing.T) {
	t.Parallel()
	node := nodeBin(t)
	modules, err := filepath.Abs("../../clients/typescript/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	tsc := filepath.Join(modules, "typescript", "bin", "tsc")
	if _, err := os.Stat(tsc); err != nil {
		t.Fatalf("%v, run: make setup", err)
	}
	source := copyFolder(t, "typescript", "src", "package.json", "tsconfig.json", "README.md")
	if err := os.Symlink(modules, filepath.Join(source, "node_modules")); err != nil {
		t.Fatal(err)
	}
	offline := []string{"npm_config_offline=true", "npm_config_audit=false", "npm_config_fund=false", "npm_config_update_notifier=false", "npm_config_cache=" + t.TempDir()}
	packed := filepath.Join(source, last(run(t, source, offline, "npm", "pack", "--silent")))

	project := t.TempDir()
	write(t, project, "package.json", `{"name":"project","private":true,"type":"module"}`)
	run(t, project, offline, "npm", "install", "--silent", packed)
	if found, _ := filepath.Glob(filepath.Join(project, "node_modules", "[a-z@]*")); len(found) != 1 {
		t.Errorf("it brings %v, want itself alone", found)
	}
	if err := os.CopyFS(project, os.DirFS("../../clients/typescript/test")); err != nil {
		t.Fatal(err)
	}
	write(t, project, "tsconfig.json", `{"compilerOptions":{"noEmit":true,"strict":true,"target":"es2022","lib":["es2022","dom","dom.iterable"],"module":"nodenext","types":[]},"files":["types.ts"]}`)
	run(t, project, nil, node, tsc)
	env := environment(t)
	for i, code := range blocks(t, "../../clients/typescript/README.md", "js") {
		write(t, project, "readme"+strconv.Itoa(i)+".mjs", code)
	}
	tests, _ := filepath.Glob(filepath.Join(project, "*.test.mjs"))
	if len(tests) != 4 {
		t.Errorf("%d files of tests, want 4", len(tests))
	}
	passed(t, run(t, project, env, node, append([]string{"--test", "--test-reporter=tap"}, tests...)...), `(?m)^# pass (\d+)$`, `(?m)^# (?:fail|skipped|todo|cancelled) [1-9]`)
}

// TestPython installs the client from its folder, without a network, and runs its suite and the
// README's code. Types are checked strictly.
func TestPython(t *testing.T) {
	t.Parallel()
	venv, err := filepath.Abs("../../.tools/clients/bin")
	if err != nil {
		t.Fatal(err)
	}
	python := filepath.Join(venv, "python")
	if _, err := os.Stat(python); err != nil {
		t.Fatalf("%v, run: make setup", err)
	}
	source := copyFolder(t, "python", "src", "pyproject.toml", "README.md")
	project := t.TempDir()
	run(t, project, nil, python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation", "--target", "site", source)
	if found, _ := filepath.Glob(filepath.Join(project, "site", "fantail", "py.typed")); len(found) != 1 {
		t.Error("the package does not say that it has types")
	}
	if err := os.CopyFS(project, os.DirFS("../../clients/python/tests")); err != nil {
		t.Fatal(err)
	}
	for i, code := range blocks(t, "../../clients/python/README.md", "python") {
		write(t, project, "readme"+strconv.Itoa(i)+".py", code)
	}
	env := append(environment(t), "PYTHONPATH="+filepath.Join(project, "site"), "PYTHONDONTWRITEBYTECODE=1", "PYTHONWARNINGS=error")
	run(t, project, []string{"MYPYPATH=" + filepath.Join(project, "site")}, filepath.Join(venv, "mypy"), "--strict", "--python-version", "3.10", "--cache-dir", filepath.Join(t.TempDir(), "mypy"), "--exclude", "^site/", ".")
	passed(t, run(t, project, env, python, "-m", "unittest", "discover", "-v", "-s", "."), `(?m)^Ran (\d+) tests`, `skipped=`)
}

// passed fails where a suite ran few tests, or did not run some.
func passed(t *testing.T, out, ran, not string) {
	t.Helper()
	m := regexp.MustCompile(ran).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no summary in\n%s", out)
	}
	if n, _ := strconv.Atoi(m[1]); n < 15 || regexp.MustCompile(not).MatchString(out) {
		t.Errorf("%d tests passed, want 15 and more, and none left out:\n%s", n, out)
	}
	t.Logf("%s tests", m[1])
}

// blocks are the code of a page in one language.
func blocks(t *testing.T, page, language string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllSubmatch(text, -1) {
		all = append(all, string(m[1]))
	}
	if len(all) < 3 {
		t.Fatalf("%s has %d blocks of %s, want at least three", page, len(all), language)
	}
	return all
}

func last(out string) string {
	lines := strings.Fields(out)
	return lines[len(lines)-1]
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLockFileNamesNoRegistry: it must install from whatever registry the machine uses.
func TestLockFileNamesNoRegistry(t *testing.T) {
	for _, name := range []string{"../../clients/typescript/package-lock.json", "requirements.txt"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{`"resolved"`, "registry", "_auth", "http"} {
			if bytes.Contains(text, []byte(word)) {
				t.Errorf("%s has %s", name, word)
			}
		}
	}
}
