package arch

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	links    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fences   = regexp.MustCompile("(?ms)^```.*?^```$")
	makes    = regexp.MustCompile("`(?:[A-Z]+=\\S+ )*make ([a-z-]+)")
	targets  = regexp.MustCompile(`(?m)^([a-z-]+):.*## `)
)

// TestLinksInDocsLeadSomewhere: to a file of the repository, and to a heading in
// it. Links to the web are not followed.
func TestLinksInDocsLeadSomewhere(t *testing.T) {
	n := 0
	for _, page := range pages(t) {
		for _, m := range links.FindAllStringSubmatch(read(t, page), -1) {
			n++
			if fault := follow(page, m[1], func(name string) (string, bool) {
				b, err := os.ReadFile(filepath.Join("../..", name))
				_, there := os.Stat(filepath.Join("../..", name))
				return string(b), err == nil || there == nil // a folder is no page, and is there
			}); fault != "" {
				t.Errorf("%s: %s", page, fault)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d links were found", n)
	}
}

func TestEveryFaultOfALinkIsSeen(t *testing.T) {
	exists := func(name string) (string, bool) {
		text, ok := map[string]string{"docs/A.md": "# A page\n## What `x` does, and why\n```\n# no heading\n```\n", "README.md": "# Top\n", "docs": ""}[name]
		return text, ok
	}
	for link, sound := range map[string]bool{
		"A.md": true, "../README.md": true, "A.md#what-x-does-and-why": true, "../docs": true, "#a-page": true, "https://example.com/x": true,
		"B.md": false, "README.md": false, "A.md#no-heading": false, "A.md#other": false, "#other": false, "../../README.md": false,
	} {
		if fault := follow("docs/A.md", link, exists); (fault == "") != sound {
			t.Errorf("%s: %q", link, fault)
		}
	}
}

// follow returns what is wrong with a link on a page; "" if nothing is.
func follow(page, link string, exists func(name string) (text string, ok bool)) string {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
		return ""
	}
	file, heading, anchored := strings.Cut(link, "#")
	name := page
	if file != "" {
		name = path.Join(path.Dir(page), file)
	}
	text, ok := exists(name)
	if !ok {
		return fmt.Sprintf("%s leads to nothing", link)
	}
	if anchored && !slices.Contains(anchors(text), heading) {
		return fmt.Sprintf("%s: %s has no such heading", link, name)
	}
	return ""
}

// anchors are the headings of a page as links name them.
func anchors(text string) (names []string) {
	for _, m := range headings.FindAllStringSubmatch(fences.ReplaceAllString(text, ""), -1) {
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ' || r == '-':
				return '-'
			case r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127:
				return r
			}
			return -1
		}, strings.ToLower(m[1])))
	}
	return names
}

// TestTheIndexLeadsToEveryPage: docs/index.md has every page for users, and README.md has the index.
func TestTheIndexLeadsToEveryPage(t *testing.T) {
	const index = "docs/index.md"
	linked := func(page string) map[string]bool {
		to := map[string]bool{}
		for _, m := range links.FindAllStringSubmatch(read(t, page), -1) {
			file, _, _ := strings.Cut(m[1], "#")
			to[path.Join(path.Dir(page), file)] = true
		}
		return to
	}
	there := linked(index)
	for _, page := range pages(t) {
		if dir, _, _ := strings.Cut(page, "/"); page != index && (dir == "docs" || dir == "destinations" || dir == "clients") && !there[page] {
			t.Errorf("%s does not lead to %s", index, page)
		}
	}
	if !linked("README.md")[index] {
		t.Errorf("README.md does not lead to %s", index)
	}
	var order []string
	for _, m := range regexp.MustCompile(`(?m)^\d+\. \*\*\[?([^].]+)`).FindAllStringSubmatch(read(t, index), -1) {
		order = append(order, m[1])
	}
	want := []string{"Tour", "Concepts and words", "Kinds of destinations", "Operate", "Scale", "Security", "API", "Benchmarks", "Comparison"}
	for _, later := range []struct{ file, topic, after string }{{"docs/CONSOLE.md", "Console", "Scale"}, {"clients", "Clients", "API"}} {
		if _, err := os.Stat(filepath.Join("../..", later.file)); err == nil {
			want = slices.Insert(want, slices.Index(want, later.after)+1, later.topic)
		}
	}
	if !slices.Equal(order, want) {
		t.Errorf("%s has the topics %q, want %q", index, order, want)
	}
}

// TestWhatIsSaidOfOthersHasASource: each number in the comparison is that of a source, and no source is
// idle.
func TestWhatIsSaidOfOthersHasASource(t *testing.T) {
	text, list, found := strings.Cut(read(t, "docs/COMPARISON.md"), "\n## Sources\n")
	if !found {
		t.Fatal("the page names no sources")
	}
	sources := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(\d+)\. .*$`).FindAllStringSubmatch(list, -1) {
		sources[m[1]] = false
	}
	for _, m := range regexp.MustCompile(`\[(\d+(?:, \d+)*)\]`).FindAllStringSubmatch(text, -1) {
		for n := range strings.SplitSeq(m[1], ", ") {
			if _, there := sources[n]; !there {
				t.Errorf("there is no source %s", n)
			}
			sources[n] = true
		}
	}
	for n, used := range sources {
		if !used {
			t.Errorf("nothing refers to source %s", n)
		}
	}
	if len(sources) < 20 {
		t.Errorf("only %d sources", len(sources))
	}
}

// TestFencesStandAlone: what begins and ends code has a line of its own, and each beginning its end. Otherwise the code is
// shown as prose, and the prose after it as code.
func TestFencesStandAlone(t *testing.T) {
	alone := regexp.MustCompile("^ *```[a-z]*$")
	for _, page := range pages(t) {
		open := false
		for i, line := range strings.Split(read(t, page), "\n") {
			switch {
			case !strings.Contains(line, "```"):
				continue
			case !alone.MatchString(line) || open && !strings.HasSuffix(line, "```"):
				t.Errorf("%s:%d: %s", page, i+1, line)
			}
			open = !open
		}
		if open {
			t.Errorf("%s: its last code does not end", page)
		}
	}
}

// TestDocsNameTargetsThatExist checks every `make x` of a page.
func TestDocsNameTargetsThatExist(t *testing.T) {
	var known []string
	for _, m := range targets.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		known = append(known, m[1])
	}
	if len(known) < 15 {
		t.Fatalf("only %d targets were found: %v", len(known), known)
	}
	for _, page := range pages(t) {
		for _, m := range makes.FindAllStringSubmatch(read(t, page), -1) {
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s: there is no `make %s`", page, m[1])
			}
		}
	}
}

// TestArchitectureNamesEveryPackage: the table of ARCHITECTURE.md names every package, or a folder
// that it lies in, and nothing that does not exist.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	text := read(t, "ARCHITECTURE.md")
	_, table, found := strings.Cut(text, "## Where things are")
	if !found {
		t.Fatal("the page has no table of where things are")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	var named []string
	for _, row := range strings.Split(table, "\n") {
		cells := strings.Split(row, "|")
		if len(cells) < 3 {
			continue
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			named = append(named, strings.TrimSuffix(m[1], "/*"))
		}
	}
	for _, name := range named {
		if _, err := os.Stat(filepath.Join("../..", name)); err != nil {
			t.Errorf("ARCHITECTURE.md names %s, which does not exist", name)
		}
	}
	for _, s := range list(t) {
		if s.name != "." && !slices.ContainsFunc(named, func(n string) bool { return inside(s.name, n) }) {
			t.Errorf("ARCHITECTURE.md does not say where %s belongs", s.name)
		}
	}
}

// pages are the Markdown files of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "*.md", ".github/*.md")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list the pages: %v", err)
	}
	all := strings.Fields(string(out))
	if len(all) < 15 {
		t.Fatalf("only %d pages were found: %v", len(all), all)
	}
	return all
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
