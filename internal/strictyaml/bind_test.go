package strictyaml

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// settings has one of everything that is bound.
type settings struct {
	Name   string                  `yaml:"name"`
	Count  int                     `yaml:"count"`
	Wait   time.Duration           `yaml:"wait"`
	On     bool                    `yaml:"on"`
	Hosts  []string                `yaml:"hosts"`
	Inner  *inner                  `yaml:"inner"`
	Labels map[string]string       `yaml:"labels"`
	Secret secret.Value            `yaml:"secret"`
	Keys   map[string]secret.Value `yaml:"keys"`
}

type inner struct {
	Port int `yaml:"port"`
}

// bound reads text as fantail does: parses, binds and resolves it.
func bound(text string) (s settings, d *Document, refs map[string][]byte) {
	d = Parse("a.yaml", []byte(text))
	if d.Root == nil {
		return s, d, nil
	}
	b := NewBinder(d, d.Root, "")
	b.Bind(d.Root, &s, "")
	return s, d, b.Resolve(d.Root, &s, "", func(r Reference) ([]byte, error) {
		switch r.String() {
		case "env:KNOWN":
			return []byte("hunter2"), nil
		case "env:NOBODYS":
			return nil, ErrUnresolved
		}
		return nil, errors.New("no such variable")
	})
}

func TestEveryFaultIsReportedWithItsLine(t *testing.T) {
	_, d, _ := bound("huosts: x\ncount: many\ninner: { port: [] }\nhosts: a\nlabels: { a: {} }\nname: a\nname: b\nsecret: ${env:OTHER}\non: ${env:KNOWN}\nwait:\n")
	want := []string{
		"a.yaml:1: unknown key huosts: did you mean hosts?", "a.yaml:2: count: must be a whole number", "a.yaml:3: inner.port: must be a whole number", "a.yaml:4: hosts: must be a list",
		"a.yaml:5: labels.a: must be a text", "a.yaml:7: name is there twice: line 6", "a.yaml:8: secret: no such variable", "a.yaml:9: on: must be true or false",
		"a.yaml:10: wait has no value",
	}
	got := d.Faults()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i].Error(), want[i]) {
			t.Fatalf("faults\n%v\nwant\n%s", Faults(got), strings.Join(want, "\n"))
		}
	}
}

func TestReferencesAreResolvedInSecretsOnly(t *testing.T) {
	s, d, refs := bound("secret: ${env:KNOWN}\nkeys: { a: '$${env:KNOWN}', b: plain }\n")
	if !d.Sound() || s.Secret.Reveal() != "hunter2" || s.Keys["a"].Reveal() != "${env:KNOWN}" || s.Keys["b"].Reveal() != "plain" || string(refs["env:KNOWN"]) != "hunter2" || len(refs) != 1 {
		t.Errorf("%+v, %v, %v", s, refs, d.Faults())
	}
	if _, d, _ := bound("name: ${env:KNOWN}\n"); len(d.Faults()) != 1 || !strings.Contains(d.Faults()[0].Message, "references work in secrets only") {
		t.Errorf("%v", d.Faults())
	}
	// A reference that is left unresolved is no fault, and its value counts as unread.
	d = Parse("a.yaml", []byte("secret: ${env:NOBODYS}\n"))
	b := NewBinder(d, d.Root, "")
	var left settings
	b.Bind(d.Root, &left, "")
	b.Resolve(d.Root, &left, "", func(Reference) ([]byte, error) { return nil, ErrUnresolved })
	if !d.Sound() || b.OK("secret") || b.Failed() != 1 {
		t.Errorf("%v, ok %v", d.Faults(), b.OK("secret"))
	}
}

func TestRulesPassOverWhatCouldNotBeRead(t *testing.T) {
	d := Parse("a.yaml", []byte("count: many\nhosts: [a, [], b]\nname: x\n"))
	b := NewBinder(d, d.Root, "part: ")
	var s settings
	b.Bind(d.Root, &s, "")
	before := len(d.Faults())
	b.Require("count", false, "is never reached")
	b.Require("hosts[1]", false, "is never reached")
	if len(d.Faults()) != before || b.Shape("hosts") || !b.Shape("keys") {
		t.Errorf("%v", d.Faults())
	}
	b.Require("name", false, "must be y")
	if fs := d.Faults(); fs[len(fs)-1].Error() != "a.yaml:3: part: name: must be y" {
		t.Errorf("%v", fs)
	}
}

func TestMisplacedKeysAreAnsweredWithTheirPlace(t *testing.T) {
	d := Parse("a.yaml", []byte("retry: 3\n"))
	b := NewBinder(d, d.Root, "")
	b.Misplaced([]string{"retry"}, "stands one level up")
	b.Bind(d.Root, new(settings), "")
	if fs := d.Faults(); len(fs) != 1 || fs[0].Message != "retry stands one level up" {
		t.Errorf("%v", fs)
	}
}

func TestPlainValuesAreThoseOfNoSecret(t *testing.T) {
	d := Parse("a.yaml", []byte("name: a\nsecret: hunter2\nhosts: [b, c]\nkeys: { d: hunter2 }\n"))
	b := NewBinder(d, d.Root, "")
	b.Bind(d.Root, new(settings), "")
	var got []string
	b.EachPlain(d.Root, "x", func(path string, _ int, value string) { got = append(got, path+"="+value) })
	if !slices.Equal(got, []string{"x.name=a", "x.hosts[0]=b", "x.hosts[1]=c"}) {
		t.Errorf("%v", got)
	}
}

// A file full of faults has only some of them told.
func TestFaultsAndNotesAreBounded(t *testing.T) {
	_, d, _ := bound(strings.Repeat("x: 1\n", 500))
	if fs := d.Faults(); len(fs) != maxFaults+1 || !d.Full() || fs[maxFaults].Message != "and more faults: mend these first" {
		t.Errorf("%d faults, %v", len(fs), fs[len(fs)-1])
	}
	b := NewBinder(d, d.Root, "")
	for range 500 {
		b.Note(1, "x", "is odd")
	}
	if len(d.Notes) != maxFaults {
		t.Errorf("%d notes", len(d.Notes))
	}
}

// FuzzRead: whatever the text, every fault has a place in it, is one line, and shows
// nothing that a reference stands for.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"name: x\n", "a: &a [*a]\n", "<<: { a: 1 }\n", "secret: ${env:KNOWN}\nkeys: { a: ${env:KNOWN} }\n", "? [a]\n: b\n", "name: !!int 3\n", "\"a: b\n", "---\n---\n", "inner: { port: 1, port: 2 }\n",
		"hosts: [a, , b]\n", "a:\tb\n", "{a: {b: {c: {}}}}", "\xff", "keys: { ${env:KNOWN}: x }\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "hunter2") {
			return // a literal in the place of a key would show
		}
		s, d, _ := bound(text)
		breaks := strings.NewReplacer("\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n").Replace(text)
		for _, x := range append(d.Faults(), d.Notes...) {
			if x.File != "a.yaml" || x.Line < 1 || x.Line > strings.Count(breaks, "\n")+2 || x.Message == "" || strings.ContainsAny(x.Error(), "\n\r\x00\x1b") || strings.Contains(x.Error(), "hunter2") {
				t.Errorf("%+v", x)
			}
		}
		if d.Sound() && strings.Contains(s.Secret.Reveal(), "${env:KNOWN}") && !strings.Contains(text, "$$") {
			t.Errorf("a reference is left: %q", text)
		}
	})
}
