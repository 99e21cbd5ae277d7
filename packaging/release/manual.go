package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/cli"
)

// manual writes a page for each command into man/, and what completes commands into completion/. The
// scripts ask the program for names as it runs, so that they are the same for every platform.
func (r *release) manual(dir string) error {
	root := cli.Command(all.Destinations())
	root.DisableAutoGenTag = true // it tells the day
	root.InitDefaultCompletionCmd()
	man := filepath.Join(dir, "man")
	if err := os.MkdirAll(man, 0o755); err != nil {
		return err
	}
	verbatim(root)
	header := &doc.GenManHeader{Section: "1", Date: &r.date, Source: "Fantail " + r.version, Manual: "Fantail"}
	if err := doc.GenManTree(root, header, man); err != nil {
		return err
	}
	completion := filepath.Join(dir, "completion")
	if err := os.MkdirAll(completion, 0o755); err != nil {
		return err
	}
	root = cli.Command(all.Destinations())
	for file, write := range map[string]func(string) error{
		"fantail.bash": func(at string) error { return root.GenBashCompletionFileV2(at, true) },
		"_fantail":     root.GenZshCompletionFile,
		"fantail.fish": func(at string) error { return root.GenFishCompletionFile(at, true) },
	} {
		if err := write(filepath.Join(completion, file)); err != nil {
			return err
		}
	}
	return nil
}

// verbatim keeps cobra from reading the texts as Markdown, which they are not: what is indented are
// lines of a table or an example, and the rest has no markup.
func verbatim(c *cobra.Command) {
	paragraphs := strings.Split(c.Long, "\n\n")
	for i, p := range paragraphs {
		if strings.HasPrefix(p, " ") {
			paragraphs[i] = "```\n" + p + "\n```"
		} else {
			paragraphs[i] = markup.ReplaceAllString(p, `\$0`)
		}
	}
	c.Long = strings.Join(paragraphs, "\n\n")
	for _, sub := range c.Commands() {
		verbatim(sub)
	}
}

var markup = regexp.MustCompile("[\\\\`*_<>#\\[\\]]")
