package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/cli"
)

// shown is what a page shows, without its layout: the words, whatever roff does to them.
func shown(page string) string {
	text := regexp.MustCompile(`(?m)^\.(SH|SS|PP|EX|EE|RS|RE|TP|IP|nf|fi|nh|TH|br|ti|sp).*$|\\f[BIRP]|\\&`).ReplaceAllString(page, "")
	return strings.Join(strings.Fields(strings.NewReplacer(`\-`, "-", `\e`, `\`, `\\`, `\`).Replace(text)), " ")
}

// TestManualSaysWhatHelpSays: each command has a page, and no word of its help is lost or taken for
// markup on the way.
func TestManualSaysWhatHelpSays(t *testing.T) {
	dir := t.TempDir()
	r := &release{version: "v0.1.0", date: time.Date(2026, 11, 30, 20, 16, 0, 0, time.UTC)}
	if err := r.manual(dir); err != nil {
		t.Fatal(err)
	}
	pages := 0
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() && !sub.IsAdditionalHelpTopicCommand() {
				look(sub)
			}
		}
		pages++
		page, err := os.ReadFile(filepath.Join(dir, "man", strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		if err != nil {
			t.Error(err)
			return
		}
		got := shown(string(page))
		for what, text := range map[string]string{"help": c.Long, "example": c.Example, "name": c.Short} {
			if want := strings.Join(strings.Fields(text), " "); !strings.Contains(got, want) {
				t.Errorf("%s: the %s\n%s\nis not in\n%s", c.CommandPath(), what, want, got)
			}
		}
		for _, secret := range []string{"Auto generated", os.TempDir()} {
			if strings.Contains(string(page), secret) {
				t.Errorf("%s: the page has %q", c.CommandPath(), secret)
			}
		}
	}
	look(cli.Command(all.Destinations()))
	if pages < 40 {
		t.Errorf("only %d pages", pages)
	}
	for _, name := range []string{"fantail.bash", "_fantail", "fantail.fish"} {
		if text, err := os.ReadFile(filepath.Join(dir, "completion", name)); err != nil || !strings.Contains(string(text), "__complete") {
			t.Errorf("%s: %v, or it completes nothing", name, err)
		}
	}
}
