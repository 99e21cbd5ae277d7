package arch

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// securityModel is the page that says which tests hold each threat.
const securityModel = "docs/SECURITY-MODEL.md"

// TestSecurityModelNamesTestsThatExist checks every row of the page's threats.
func TestSecurityModelNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("../..", securityModel))
	if err != nil {
		t.Fatal(err)
	}
	rows, faults := judgeModel(string(text), testsIn("../.."))
	for _, fault := range faults {
		t.Errorf("%s:%s", securityModel, fault)
	}
	if rows < 40 {
		t.Errorf("only %d threats were found: the test looks at too little", rows)
	}
}

// Every mistake that the page could have is made once here.
func TestEveryFaultOfTheModelIsSeen(t *testing.T) {
	exists := func(folder, name string) bool {
		return folder == "internal/x" && (name == "TestHeld" || name == "FuzzHeld")
	}
	const head = "| threat | what stops or bounds it | held by | what is left |\n|---|---|---|---|\n"
	for name, c := range map[string]struct {
		page string
		want string // "": sound
	}{
		"sound":                        {head + "| a | b | `internal/x.TestHeld` `internal/x.FuzzHeld` | |\n", ""},
		"other tables":                 {"| party | is trusted |\n|---|---|\n| a | b |\n", ""},
		"to be added, in a comment":    {head + "| a | b <!-- add `internal/x.TestLater` --> | `internal/x.TestHeld` | |\n", ""},
		"a made-up name":               {head + "| a | b | `internal/x.TestHeld` `internal/x.TestMadeUp` | |\n", "3: there is no test internal/x.TestMadeUp"},
		"a made-up folder":             {head + "| a | b | `internal/y.TestHeld` | |\n", "3: there is no test internal/y.TestHeld"},
		"a made-up name in the prose":  {"See `internal/x.TestMadeUp`.\n", "1: there is no test internal/x.TestMadeUp"},
		"no test":                      {head + "| a | b | | c |\n", "3: no test holds this"},
		"a test in a comment alone":    {head + "| a | b | <!-- `internal/x.TestHeld` --> | c |\n", "3: no test holds this"},
		"a name without its folder":    {head + "| a | b | `internal/x.TestHeld` `TestHeld` | c |\n", "3: TestHeld is not written as folder.TestName"},
		"a name by its import path":    {head + "| a | b | `example.com/internal/x.TestHeld` | c |\n", "3: example.com/internal/x.TestHeld is not written as folder.TestName"},
		"words among the tests":        {head + "| a | b | `internal/x.TestHeld`, mostly | c |\n", "3: what holds it has more than names of tests"},
		"a cell too few":               {head + "| a | `internal/x.TestHeld` | c |\n", "3: a threat has 4 cells, this has 3"},
		"a table after another's rows": {head + "| a | b | `internal/x.TestHeld` | |\n\n" + head + "| a | b | | |\n", "7: no test holds this"},
	} {
		_, faults := judgeModel(c.page, exists)
		if got := strings.Join(faults, "\n"); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

var (
	comment  = regexp.MustCompile(`<!--.*?-->`)
	codeSpan = regexp.MustCompile("`([^`]*)`")
	someTest = regexp.MustCompile(`\b(Test|Fuzz)[A-Z]`)
	testRef  = regexp.MustCompile(`^([a-z0-9]+(?:/[a-z0-9]+)*)\.((?:Test|Fuzz)\w+)$`)
)

// judgeModel returns how many threats the page has, and what is wrong with the tests
// that it names, each fault with its line.
func judgeModel(page string, exists func(folder, name string) bool) (rows int, faults []string) {
	threats := false
	for i, line := range strings.Split(page, "\n") {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("%d: ", i+1)+fmt.Sprintf(format, args...))
		}
		line = comment.ReplaceAllString(line, "")
		for _, span := range codeSpan.FindAllStringSubmatch(line, -1) {
			ref := testRef.FindStringSubmatch(span[1])
			switch {
			case ref == nil && someTest.MatchString(span[1]):
				fault("%s is not written as folder.TestName", span[1])
			case ref != nil && !exists(ref[1], ref[2]):
				fault("there is no test %s", span[1])
			}
		}
		switch {
		case strings.HasPrefix(line, "| threat |"):
			threats = true
			continue
		case !strings.HasPrefix(line, "|"):
			threats = false
		}
		if !threats || strings.HasPrefix(line, "|---") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 {
			fault("a threat has 4 cells, this has %d", len(cells))
			continue
		}
		switch held := strings.TrimSpace(cells[2]); {
		case held == "":
			fault("no test holds this")
		case strings.TrimSpace(codeSpan.ReplaceAllString(held, "")) != "":
			fault("what holds it has more than names of tests")
		}
	}
	return rows, faults
}

var testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)

// testsIn tells which tests the folders below root have.
func testsIn(root string) func(folder, name string) bool {
	known := map[string]map[string]bool{}
	return func(folder, name string) bool {
		if known[folder] == nil {
			known[folder] = map[string]bool{}
			files, _ := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					continue // its tests are missing then
				}
				for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
					known[folder][m[1]] = true
				}
			}
		}
		return known[folder][name]
	}
}
