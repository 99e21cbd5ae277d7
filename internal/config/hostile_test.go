package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
)

// tooLong is far above the 2 s that the slowest text takes on a busy machine, and far below
// what a bomb would take.
const tooLong = 20 * time.Second

// TestHostileTextIsCheap holds every file of at most 1 MiB to a bound of time.
func TestHostileTextIsCheap(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	var deepAlias strings.Builder
	deepAlias.WriteString("a0: &a0 [x]\n")
	for i := 1; i < 5000; i++ {
		fmt.Fprintf(&deepAlias, "a%d: &a%d [*a%d]\n", i, i, i-1)
	}
	for name, c := range map[string]struct{ text, want string }{
		"laughs":        {laughs.String(), "comes to more than"},
		"deep alias":    {deepAlias.String(), "nested deeper"},
		"flow depth":    {strings.Repeat("[", strictyaml.MaxFile-1), "nested deeper"},
		"block depth":   {strings.Repeat("- ", strictyaml.MaxFile/2-1), "nested deeper"},
		"map depth":     {strings.Repeat("{a: ", strictyaml.MaxFile/4-1), "nested deeper"},
		"question":      {strings.Repeat("? ", strictyaml.MaxFile/2-1), "nested deeper"},
		"many values":   {"a: [" + strings.Repeat("x,", strictyaml.MaxFile/2-10) + "x]", "comes to more than"},
		"many keys":     {strings.Repeat("aaaaaaaa: x\n", strictyaml.MaxFile/12), "is there twice"},
		"unknown keys":  {numbered(strictyaml.MaxFile/12, "k%d: x\n"), "and more faults"},
		"one scalar":    {"brand: " + strings.Repeat("x", strictyaml.MaxFile-10), "brand: must be"},
		"open quote":    {"brand: \"" + strings.Repeat("x ", strictyaml.MaxFile/2-10), "not YAML"},
		"anchors":       {strings.Repeat("- &a x\n", strictyaml.MaxFile/8), "must be a mapping"},
		"comments":      {"brand: x # " + strings.Repeat("\n# c", strictyaml.MaxFile/5) + "\nbrnad: y", "did you mean"},
		"documents":     {strings.Repeat("---\n", strictyaml.MaxFile/4-1), "second document"},
		"colons":        {strings.Repeat("a:", strictyaml.MaxFile/2-1), ""},
		"tags":          {"brand: " + strings.Repeat("!a ", strictyaml.MaxFile/3-10), ""},
		"too large":     {strings.Repeat("#", strictyaml.MaxFile+1), "larger than 1 MiB"},
		"percent":       {strings.Repeat("%", strictyaml.MaxFile-1), ""},
		"block scalar":  {"brand: |\n" + strings.Repeat(" x\n", strictyaml.MaxFile/3-10), "brand: must be"},
		"blank lines":   {strings.Repeat("\n", strictyaml.MaxFile-20) + "brnad: x", "did you mean"},
		"carriage":      {strings.Repeat("\r", strictyaml.MaxFile-20) + "brnad: x", "did you mean"},
		"escapes":       {"brand: \"" + strings.Repeat(`\U0001F600`, strictyaml.MaxFile/10-10) + "\"", "brand: must be"},
		"null bytes":    {strings.Repeat("\x00", strictyaml.MaxFile-1), "not YAML"},
		"long flow key": {"{" + strings.Repeat("x", strictyaml.MaxFile-10) + ": 1}", "unknown key"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			d := readDaemon("fantail.yaml", []byte(c.text))
			faults := Faults(d.doc.Faults())
			if took := time.Since(start); took > tooLong {
				t.Errorf("took %v", took)
			} else {
				t.Logf("took %v", took)
			}
			if len(faults) == 0 || len(faults) > 101 || !strings.Contains(faults.Error(), c.want) {
				t.Errorf("%d faults: %.300s", len(faults), faults.Error())
			}
			if strings.Contains(faults.Error(), strings.Repeat("x", 50)) {
				t.Error("the text is repeated")
			}
		})
	}
}

// TestHostileDeveloperIsCheap does the same for texts that blow up only in typed settings.
func TestHostileDeveloperIsCheap(t *testing.T) {
	head := "developer: acme\ndestinations:\n"
	dest := func(inner string) string { return head + "  - { name: a, kind: webhook, " + inner }
	for name, c := range map[string]struct{ text, want string }{
		"destinations": {head + strings.Repeat("  - {}\n", 60_000), "and more faults"},
		"same name":    {head + strings.Repeat("  - { name: a, kind: sqs }\n", 30_000), "and more faults"},
		"events":       {dest("events: [" + strings.Repeat("a,", 90_000) + "b]}"), "more than 256"},
		"waits":        {dest("retry: { waits: [" + strings.Repeat("1s,", 90_000) + "1s]}}"), "more than 100"},
		"references":   {dest("settings: { headers: {" + numbered(30_000, "x%d: '${env:X}', ") + "}}}"), "and more faults"},
		"stars":        {dest("events: ['" + strings.Repeat("*a", 60) + "']}"), "secret: is required"},
		"hosts":        {dest("settings: { hosts: [" + strings.Repeat("[],", 90_000) + "]}}"), "and more faults"},
	} {
		t.Run(name, func(t *testing.T) {
			path := folder(t, map[string]string{"developers/acme.yaml": c.text, "fantail.yaml": "limits: { per_developer: { destinations: 100000 } }\n"})
			start := time.Now()
			_, err := Load(path, kinds())
			if took := time.Since(start); took > tooLong {
				t.Errorf("took %v", took)
			} else {
				t.Logf("took %v", took)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%.300v", err)
			}
		})
	}
}

func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestWhatCannotBeReadAsAFileIsSaid(t *testing.T) {
	path := folder(t, nil)
	dir := filepath.Dir(path)
	for name, want := range map[string]string{filepath.Join(dir, "none.yaml"): "no such file", filepath.Join(dir, "developers"): "not a regular file"} {
		if _, err := Load(name, kinds()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "developers", "x.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	if snap, err := Load(path, kinds()); err == nil || len(snap.Broken["x"]) != 1 {
		t.Errorf("%v", err)
	}
}
