package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const (
	testVersion = "v0.1.0"
	testCommit  = "0123456789abcdef0123456789abcdef01234567"
	testDate    = "2026-11-30T20:16:00Z"
)

// here is the platform of the tests, which every run builds for; make long builds for all.
var here = "linux/" + runtime.GOARCH

// released is a release for this platform that several tests look at.
var released = sync.OnceValues(func() (string, error) { // it outlives the test that asks first
	dir, err := os.MkdirTemp("", "fantail-release-")
	if err != nil {
		return "", err
	}
	made = dir
	return filepath.Join(dir, "dist"), run(context.Background(), []string{"-source", "../..", "-out", filepath.Join(dir, "dist"), "-version", testVersion, "-commit", testCommit, "-date", testDate, "-platforms", here}, io.Discard)
})

// made is its folder, once there is one.
var made string

func TestMain(m *testing.M) {
	code := m.Run()
	if made != "" {
		os.RemoveAll(made)
	}
	os.Exit(code)
}

func dist(t *testing.T) string {
	t.Helper()
	dir, err := released()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// copySources copies what git would: the files of the checkout as they are now.
func copySources(t *testing.T) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "somewhere", "else")
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		from, at := filepath.Join("../..", name), filepath.Join(to, name)
		info, err := os.Lstat(from)
		if errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		body, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, body, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// files are the files below a folder, by their path in it.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(at string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, at)
		all[name], err = os.ReadFile(at)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAReleaseIsTwiceTheSameBytes makes it in two folders, in environments that differ. With
// FANTAIL_RELEASE=all, as make long has it, it does so for every platform, and the second time nothing
// comes out of the cache.
func TestAReleaseIsTwiceTheSameBytes(t *testing.T) {
	platforms, first := here, ""
	args := func(source, out string) []string {
		return []string{"-source", source, "-out", out, "-version", testVersion, "-commit", testCommit, "-date", testDate, "-platforms", platforms}
	}
	if os.Getenv("FANTAIL_RELEASE") == "all" {
		platforms, first = everywhere, filepath.Join(t.TempDir(), "dist")
		if err := run(t.Context(), args("../..", first), io.Discard); err != nil {
			t.Fatal(err)
		}
		t.Setenv("GOCACHE", t.TempDir())
	} else {
		first = dist(t)
	}
	sources := copySources(t)
	second := filepath.Join(t.TempDir(), "again")
	t.Setenv("GOFLAGS", "-race")
	t.Setenv("CGO_ENABLED", "1")
	t.Setenv("GOAMD64", "v3")
	t.Setenv("GOARM64", "v8.2")
	t.Setenv("GOFIPS140", "latest")
	t.Setenv("TZ", "Pacific/Auckland")
	t.Setenv("LC_ALL", "C.UTF-8")
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	umask := syscall.Umask(0o077)
	err := run(t.Context(), args(sources, second), io.Discard)
	syscall.Umask(umask)
	if err != nil {
		t.Fatal(err)
	}
	a, b := files(t, first), files(t, second)
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			t.Errorf("%s differs: %d and %d bytes", name, len(a[name]), len(b[name]))
		}
	}
	if len(a) != len(b) || len(a) < 60 {
		t.Errorf("%d and %d files", len(a), len(b))
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range a {
		for _, path := range []string{filepath.Dir(filepath.Dir(wd)), sources, os.Getenv("HOME") + "/"} {
			if bytes.Contains(body, []byte(path)) {
				t.Errorf("%s holds the path %s of this machine", name, path)
			}
		}
	}
	for _, p := range strings.Split(platforms, ",") {
		name := strings.ReplaceAll(p, "/", "_")
		static(t, filepath.Join(first, name, "fantail"), p)
		// An image has it with this mode, and runs it as a user without rights.
		if info, err := os.Stat(filepath.Join(second, name, "fantail")); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("the binary of a machine with a private umask: %v, %v", info.Mode(), err)
		}
		for _, file := range []string{"fantail_" + name + ".tar.gz", "fantail_" + name + ".cdx.json", name + "/fantail"} {
			if len(a[file]) == 0 {
				t.Errorf("there is no %s", file)
			}
		}
	}
}

// static fails unless a binary is for the platform, and needs no library on Linux.
func static(t *testing.T, path, platform string) {
	t.Helper()
	if !strings.HasPrefix(platform, "linux/") {
		return
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	machine := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}[platform]
	if libs, err := f.ImportedLibraries(); err != nil || len(libs) > 0 || f.Machine != machine {
		t.Errorf("%s is for %s and needs %v, %v", path, f.Machine, libs, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Errorf("%s needs a loader", path)
		}
	}
}

// TestTheProgramOfAReleaseTellsWhatItIs: by `version`, and by what `sha256sum --check` reads.
func TestTheProgramOfAReleaseTellsWhatItIs(t *testing.T) {
	dir := dist(t)
	out, err := exec.CommandContext(t.Context(), filepath.Join(dir, strings.ReplaceAll(here, "/", "_"), "fantail"), "version", "--json").Output()
	var v struct{ Version, Commit, Time, Platform string }
	if err := errors.Join(err, json.Unmarshal(out, &v)); err != nil {
		t.Fatal(err)
	}
	if v.Version != testVersion || v.Commit != testCommit || v.Time != testDate || v.Platform != here {
		t.Errorf("it says %s", out)
	}
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = dir
	if out, err := check.CombinedOutput(); err != nil || strings.Count(string(out), ": OK\n") != 3 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestTheArchiveHoldsOneFolder: with all that a user needs, and owned by nobody of this machine.
func TestTheArchiveHoldsOneFolder(t *testing.T) {
	packed, err := os.Open(filepath.Join(dist(t), "fantail_"+strings.ReplaceAll(here, "/", "_")+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	if unzipped.Name != "" || !unzipped.ModTime.IsZero() {
		t.Errorf("the compression tells %q and %v", unzipped.Name, unzipped.ModTime)
	}
	modes := map[string]int64{}
	for in := tar.NewReader(unzipped); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		modes[h.Name] = h.Mode
		if !strings.HasPrefix(h.Name, "fantail/") || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.ModTime.UTC().Format("2006-01-02T15:04:05Z") != testDate {
			t.Errorf("%+v", h)
		}
	}
	for name, mode := range map[string]int64{"fantail/fantail": 0o755, "fantail/LICENSE": 0o644, "fantail/man/fantail-serve.1": 0o644, "fantail/completion/_fantail": 0o644} {
		if modes[name] != mode {
			t.Errorf("%s has mode %o, want %o", name, modes[name], mode)
		}
	}
}

// TestTheBillOfMaterialsIsWhatGoSaysOfTheBinary compares it with `go version -m`, line by line.
func TestTheBillOfMaterialsIsWhatGoSaysOfTheBinary(t *testing.T) {
	name := strings.ReplaceAll(here, "/", "_")
	out, err := exec.CommandContext(t.Context(), "go", "version", "-m", filepath.Join(dist(t), name, "fantail")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^\tdep\t(\S+)\t(\S+)\t(\S+)$`).FindAllStringSubmatch(string(out), -1) {
		want = append(want, strings.Join(m[1:], " "))
	}
	text, err := os.ReadFile(filepath.Join(dist(t), "fantail_"+name+".cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var b billOfMaterials
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	var got []string
	refs := map[string]bool{}
	for _, c := range b.Components {
		refs[c.Ref] = true
		if c.Name == "std" {
			if "go"+c.Version != runtime.Version() {
				t.Errorf("the standard library is that of %s", c.Version)
			}
			continue
		}
		if len(c.Properties) != 1 || !strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name+"@") {
			t.Fatalf("%+v", c)
		}
		got = append(got, c.Name+" "+c.Version+" "+c.Properties[0].Value)
	}
	if !slices.Equal(got, want) || len(got) < 40 || len(refs) != len(got)+1 {
		t.Errorf("the bill has\n%s\nthe binary\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if p := b.Metadata.Component; p.Version != testVersion || p.PURL != "pkg:golang/github.com/seed-51f8da91/fantail@"+testVersion || fmt.Sprint(p.Properties) != "[{fantail:commit "+testCommit+"} {fantail:platform "+here+"}]" {
		t.Errorf("the program is %+v", p)
	}
}

// TestAReleaseIsRefused when it could not be made again, or nobody has said what is new.
func TestAReleaseIsRefused(t *testing.T) {
	sources := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Dir = sources
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(sources, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n\n## v0.2.0 - 2026-12-01\n\nNew.\n\n## v0.1.0 - 2026-11-30\n\nOld.\n")
	git("init", "--quiet", "--initial-branch=main")
	git("add", ".")
	git("commit", "--quiet", "--message", "one")
	git("tag", "v0.1.0")
	git("commit", "--quiet", "--allow-empty", "--message", "two")
	refused := func(want string, args ...string) {
		t.Helper()
		err := run(t.Context(), append([]string{"-source", sources, "-out", filepath.Join(sources, "dist")}, args...), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	refused(`-version "0.1.0": want a version such as v0.1.0`, "-version", "0.1.0")
	refused(`-version ""`)
	refused("the tag v0.1.0 is at commit", "-version", "v0.1.0")
	refused(`CHANGELOG.md has no heading "## v0.3.0 - YYYY-MM-DD"`, "-version", "v0.3.0")
	refused("-platforms \"plan9/386\"", "-version", "v0.2.0", "-platforms", "plan9/386")
	refused("-commit and -date belong together", "-version", "v0.2.0", "-commit", "1")
	write("new", "")
	refused("the checkout has changes", "-version", "v0.2.0")
}

// TestNotesAreTheVersionsPart: neither more nor less.
func TestNotesAreTheVersionsPart(t *testing.T) {
	dir := t.TempDir()
	text := "# Changelog\n\n## Unreleased\n\nLater.\n\n## v0.2.0 - 2026-12-01\n\n### Added\n\n- New.\n\n## v0.1.0 - 2026-11-30\n\nOld.\n"
	if err := os.WriteFile(filepath.Join(dir, "CHANGELOG.md"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]string{"v0.2.0": "# Fantail v0.2.0\n\n### Added\n\n- New.\n", "v0.1.0": "# Fantail v0.1.0\n\nOld.\n"} {
		if got, err := (&release{source: dir, version: version}).notes(); err != nil || string(got) != want {
			t.Errorf("%s: %v %q", version, err, got)
		}
	}
}

// TestEveryPackageHasTheVersion: clients and chart are published with a version, and bear its number.
func TestEveryPackageHasTheVersion(t *testing.T) {
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	newest := regexp.MustCompile(`(?m)^## v(\S+) - `).FindStringSubmatch(read("CHANGELOG.md"))
	if newest == nil {
		t.Fatal("the changelog has no version")
	}
	for file, pattern := range map[string]string{
		"clients/typescript/package.json":      `(?m)^  "version": "(.*)",$`,
		"clients/typescript/package-lock.json": `(?m)^  "version": "(.*)",$`,
		"clients/typescript/README.md":         `fantail-client-(.*)\.tgz`,
		"clients/python/pyproject.toml":        `(?m)^version = "(.*)"$`,
		"configs/helm/fantail/Chart.yaml":      `(?m)^appVersion: "(.*)"$`,
	} {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(read(file)); m == nil || m[1] != newest[1] {
			t.Errorf("%s: %q, the newest version is %s", file, m, newest[1])
		}
	}
}

// TestTheChangelogIsInOrder: what is not released first, then versions, the newest first, with their days.
func TestTheChangelogIsInOrder(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^## .*$`).FindAllString(string(text), -1)
	if len(all) < 2 || all[0] != "## Unreleased" {
		t.Fatalf("the headings are %q", all)
	}
	before := "v999.0.0"
	for _, h := range all[1:] {
		m := section.FindStringSubmatch(h)
		if m == nil || !semantic.MatchString(m[1]) {
			t.Errorf("%q: want ## vX.Y.Z - YYYY-MM-DD", h)
			continue
		}
		var a, b [3]int
		fmt.Sscanf(before, "v%d.%d.%d", &a[0], &a[1], &a[2])
		fmt.Sscanf(m[1], "v%d.%d.%d", &b[0], &b[1], &b[2])
		if slices.Compare(b[:], a[:]) >= 0 {
			t.Errorf("%s stands below %s", m[1], before)
		}
		before = m[1]
	}
}
