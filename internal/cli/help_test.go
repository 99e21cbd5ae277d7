package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func everyCommand(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		everyCommand(sub, do)
	}
}

// words splits a line as a shell does, as far as our examples need it.
func words(line string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		out = append(out, m[1]+m[2])
	}
	return out
}

func TestEveryCommandExplainsItselfWithExamplesThatWork(t *testing.T) {
	e := newEnv(strings.NewReader(""), io.Discard, io.Discard, nil)
	examples := 0
	everyCommand(newRoot(e), func(c *cobra.Command) {
		if c.Short == "" || c.Long == "" || c.Example == "" {
			t.Errorf("%s lacks a short text, a long text or an example", c.CommandPath())
		}
		if strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the short text ends with a stop", c.CommandPath())
		}
		if f := c.Flags().Lookup("config"); f != nil && f.Shorthand != "c" {
			t.Errorf("%s: --config is not -c, as it is everywhere", c.CommandPath())
		}
		own := false
		for line := range strings.SplitSeq(c.Example, "\n") {
			if len(line) > 110 || !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: example %q is too long or not indented", c.CommandPath(), line)
			}
			line, _, _ = strings.Cut(strings.TrimSpace(line), "   ") // a remark follows
			for _, part := range regexp.MustCompile(`&&|\||>|<`).Split(line, -1) {
				if args := words(part); len(args) > 0 && args[0] == "fantail" {
					examples++
					path, err := parses(args[1:])
					if err != nil {
						t.Errorf("example %q: %v", part, err)
					}
					own = own || path == c.CommandPath()
				}
			}
		}
		if !own && c.HasParent() {
			t.Errorf("%s: no example calls it", c.CommandPath())
		}
	})
	if examples < 40 {
		t.Errorf("only %d examples were found: the test looks at too little", examples)
	}
}

// TestPagesNameCommandsThatAreThere holds every command in a page's text to the command line.
func TestPagesNameCommandsThatAreThere(t *testing.T) {
	found := 0
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../destinations/*/*.md"} {
		pages, err := filepath.Glob(pattern)
		if err != nil || len(pages) == 0 {
			t.Fatalf("%s: no pages, %v", pattern, err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile("`fantail ([^`\n]+)`").FindAllStringSubmatch(string(text), -1) {
				args := words(m[1])
				if _, err := parses(args); err != nil && len(args) > 1 { // one word alone names the command, whatever it needs
					t.Errorf("%s: fantail %s: %v", page, m[1], err)
				}
				found++
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands were found: the test looks at too little", found)
	}
}

// parses tells which command args call, and what is wrong with them.
func parses(args []string) (string, error) {
	c, rest, err := newRoot(newEnv(nil, io.Discard, io.Discard, nil)).Find(args)
	if err != nil {
		return "", err
	}
	if err := c.ParseFlags(rest); err != nil {
		return "", err
	}
	if !c.HasParent() {
		return "", fmt.Errorf("no command")
	}
	if err := c.ValidateRequiredFlags(); err != nil {
		return "", err
	}
	return c.CommandPath(), c.ValidateArgs(c.Flags().Args())
}

func TestHelpGoesToStandardOutput(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"help"}, {"send", "--help"}, {"help", "retry"}, {"completion", "bash"}} {
		r := trial{}.run(t, args...)
		if r.code != 0 || r.err != "" || r.out == "" {
			t.Errorf("%v: exit %d, stderr %q", args, r.code, r.err)
		}
	}
	r := trial{}.run(t, "send", "--help")
	for _, part := range []string{"Examples:", "fantail send --developer acme", "--idempotent", "--server"} {
		if !strings.Contains(r.out, part) {
			t.Errorf("the help of send lacks %q", part)
		}
	}
}

func TestWrongUsageEndsWithTwo(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"sned x", `there is no command "sned"; did you mean send?`},
		{"destination", `did you mean destinations?`},
		{"frobnicate", `there is no command "frobnicate"`},
		{"help frobnicate", `there is no command "frobnicate"`},
		{"help sned", `did you mean send?`},
		{"send", `got 0 arguments, want "fantail send [--developer NAME] FILE...|- [flags]"`},
		{"send --developper acme x", "unknown flag: --developper"},
		{"events a b", `got 2 arguments, want "fantail events [ID] [flags]"`},
		{"events --since yesterday", "neither a duration"},
		{"events --since 1h --until 2h", "is not before"},
		{"events --limit -1", "--limit -1"},
		{"events --body", "--body goes with the ID"},
		{"events x --developer acme", "--developer selects from a list"},
		{"deliveries --destination app", "--destination needs --developer"},
		{"retry", "say which deliveries"},
		{"retry --destination app --since 1h", "--destination needs --developer"},
		{"retry --since 6h", "say which deliveries"},
		{"retry --developer acme --rebind --state dead", "pending deliveries only"},
		{"cancel x --all", "--all selects from a list"},
		{"pause acme", "not of the form developer/destination"},
		{"resume", `got 0 arguments, want "fantail resume DEVELOPER/DESTINATION [flags]"`},
		{"erase user", `required flag(s) "developer" not set`},
		{"demo --json", "has no JSON"},
		{"backup --config f dir", "--config goes with --offline"},
		{"audit now", `got 1 argument, want "fantail audit [flags]"`},
		{"destinations --server nowhere", "is not of the form http://host:port"},
		{"destinations --token a --token-file b", "not both"},
	} {
		r := trial{}.run(t, strings.Fields(tc.args)...)
		if r.code != 2 || r.out != "" || !strings.Contains(r.err, tc.want) || !strings.Contains(r.err, "--help") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q, want %q", tc.args, r.code, r.out, r.err, tc.want)
		}
	}
	for _, args := range [][]string{{"erase", "--developer", "acme", "--yes", ""}, {"retry", ""}, {"backup", ""}} {
		if r := (trial{}).run(t, args...); r.code != 2 || !strings.Contains(r.err, "an argument is empty") {
			t.Errorf("%q: %+v", args, r)
		}
	}
	if r := (trial{}).run(t, "help", "replay", "list"); r.code != 0 || !strings.Contains(r.out, "fantail replay list") {
		t.Errorf("help of a subcommand: %+v", r)
	}
}
