package secret_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

type login struct {
	User     string
	Password secret.Value
}

type base struct {
	Token secret.Value `yaml:"token"`
}

type settings struct {
	URL      string                  `yaml:"url"`
	Secret   secret.Value            `yaml:"secret"`
	Next     *secret.Value           `yaml:"next_secret"`
	None     *secret.Value           `yaml:"none"`
	Headers  map[string]secret.Value `yaml:"headers"`
	Basic    *login                  `yaml:"basic,omitempty"`
	Nobody   *login                  `yaml:"nobody"`
	Servers  []login                 `yaml:"servers"`
	Pointers []*login                `yaml:"pointers"`
	Named    map[string]login        `yaml:"named"`
	Deep     map[int]map[string][]*login
	Base     base `yaml:",inline"`
	Pair     [2]secret.Value
	Any      any          `yaml:"any"`
	Skipped  secret.Value `yaml:"-"`
	hidden   secret.Value
}

const file = `
url: plain
secret: s1
next_secret: s2
headers: {B: s4, A: s3}
basic: {user: u, password: s5}
servers: [{password: s6}, {password: s7}]
pointers: [{password: s8}]
named: {b: {password: sa}, a: {user: u, password: s9}}
deep: {10: {x: [{password: sb}]}}
token: sc
pair: [sd, se]
any: {plain: [text]}
`

func load(t *testing.T) *settings {
	t.Helper()
	s := &settings{Skipped: secret.New("skipped"), hidden: secret.New("hidden")}
	if err := yaml.Load([]byte(file), s, yaml.WithKnownFields()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWalkVisitsEveryValueByTheNameInTheFile(t *testing.T) {
	s := load(t)
	s.Any = map[string]any{"list": []any{"text", secret.New("sf"), &login{Password: secret.New("sg")}, login{Password: secret.New("sh")}, nil}}
	var got []string
	err := secret.Walk(s, func(path string, v *secret.Value) error {
		got = append(got, path+"="+v.Reveal())
		*v = secret.New("!" + v.Reveal())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"secret=s1", "next_secret=s2", "headers.A=s3", "headers.B=s4", "basic.password=s5", "servers[0].password=s6", "servers[1].password=s7",
		"pointers[0].password=s8", "named.a.password=s9", "named.b.password=sa", "deep.10.x[0].password=sb", "token=sc", "pair[0]=sd", "pair[1]=se",
		"any.list[1]=sf", "any.list[2].password=sg", "any.list[3].password=sh",
	}
	if !slices.Equal(got, want) {
		t.Errorf("visited\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if s.Headers["A"].Reveal() != "!s3" || s.Named["a"].Password.Reveal() != "!s9" || s.Named["a"].User != "u" || s.Next.Reveal() != "!s2" || s.None != nil {
		t.Error("what was set is not there")
	}
	var again []string
	if err := secret.Walk(s, func(path string, v *secret.Value) error {
		again = append(again, strings.TrimPrefix(v.Reveal(), "!"))
		if !strings.HasPrefix(v.Reveal(), "!s") {
			t.Errorf("%s was not set", path)
		}
		return nil
	}); err != nil || len(again) != len(want) {
		t.Error(len(again), err)
	}
	if s.Skipped.Reveal() != "skipped" || s.hidden.Reveal() != "hidden" {
		t.Error("what yaml does not bind was visited")
	}
}

func TestWalkVisitsOnceWhatIsShared(t *testing.T) {
	type node struct {
		V    secret.Value // first field: it shares the struct's address
		Next *node
		M    map[string]*node
	}
	n := &node{V: secret.New("a"), M: map[string]*node{}}
	n.Next = &node{V: secret.New("b"), Next: n, M: n.M}
	n.M["self"], n.M["next"] = n, n.Next
	calls := 0
	if err := secret.Walk(n, func(_ string, v *secret.Value) error {
		calls++
		*v = secret.New(v.Reveal() + "!")
		return nil
	}); err != nil || calls != 2 || n.V.Reveal() != "a!" || n.Next.V.Reveal() != "b!" {
		t.Error(calls, err, n.V.Reveal(), n.Next.V.Reveal())
	}
	list := []login{{Password: secret.New("x")}}
	shared := struct{ A, B []login }{list, list}
	if err := secret.Walk(&shared, func(_ string, v *secret.Value) error {
		*v = secret.New(v.Reveal() + "!")
		return nil
	}); err != nil || list[0].Password.Reveal() != "x!" {
		t.Error(list[0].Password.Reveal())
	}
}

func TestWalkJoinsErrorsWithTheirPaths(t *testing.T) {
	cause := errors.New("no such variable")
	err := secret.Walk(load(t), func(path string, v *secret.Value) error {
		if path == "headers.A" || path == "servers[1].password" {
			return cause
		}
		return nil
	})
	if want := "headers.A: no such variable\nservers[1].password: no such variable"; err == nil || err.Error() != want || !errors.Is(err, cause) {
		t.Errorf("%v, want %s", err, want)
	}
	v := secret.New("x")
	if err := secret.Walk(&v, func(path string, v *secret.Value) error { return fmt.Errorf("at %q", path) }); err == nil || err.Error() != `at ""` {
		t.Error(err)
	}
}

func TestWalkWantsAPointer(t *testing.T) {
	for _, bad := range []any{nil, settings{}, "text", (*settings)(nil)} {
		if err := secret.Walk(bad, func(string, *secret.Value) error { return nil }); err == nil {
			t.Errorf("%T is walked", bad)
		}
	}
	for _, empty := range []any{new(int), &settings{}, &map[string]login{}, new(any)} {
		if err := secret.Walk(empty, func(path string, v *secret.Value) error {
			if !v.IsZero() {
				t.Error(path)
			}
			return nil
		}); err != nil {
			t.Errorf("%T: %v", empty, err)
		}
	}
}
