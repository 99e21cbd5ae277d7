package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/document"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func newDevelopersImport(e *env) *cobra.Command {
	var path string
	var replace bool
	var o client.ChangeOptions
	cmd := &cobra.Command{
		Use:   "import FOLDER",
		Short: "Make documents of a folder of files, with what their references stand for",
		Long: `Hands in the files of a folder as documents. References are resolved here first:
variables of this environment, and files under secrets/DEVELOPER/ beside
fantail.yaml, as the daemon would resolve them in its folder. What is handed in
travels to the daemon with its secrets: over TLS, or on the daemon's machine.

Developers who have a document already are refused, unless --replace is given.
developers: { store: { import: developers } } in fantail.yaml does the same at the
start of the daemon, for a folder on its machine.`,
		Example: `  fantail developers import developers/ --dry-run
  fantail developers import developers/ --config /etc/fantail/fantail.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			texts, err := config.ReadFolder(args[0])
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			o.New = !replace
			return e.importTexts(cmd.Context(), c, filepath.Dir(path), texts, o)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "fantail.yaml", "settings of the daemon, beside which the folder of secrets is")
	cmd.Flags().BoolVar(&replace, "replace", false, "also of developers who have a document")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what it would do, and change nothing")
	cmd.Flags().BoolVar(&o.AllowRemoval, "allow-removal", false, "also if it removes much")
	return cmd
}

func (e *env) importTexts(ctx context.Context, c *client.Client, beside string, texts []config.Text, o client.ChangeOptions) error {
	failed := 0
	for i := range texts {
		raw, err := resolved(e, beside, texts, &texts[i])
		var done client.DocumentChanged
		if err == nil {
			done, err = c.PutDocument(ctx, texts[i].ID, raw, o)
		}
		if err != nil && notThisOne(err) {
			return err
		}
		if err != nil {
			failed++
		}
		if err := e.printApplied(applied{texts[i].ID, done.Version, done.DryRun, done.Plan, done.Notes, textOf(err)}); err != nil {
			return err
		}
	}
	if failed > 0 {
		if !e.json {
			fmt.Fprintf(e.err, "fantail: %s of %d not imported\n", count(failed, "file"), len(texts))
		}
		return errSilent
	}
	return nil
}

// resolved is a text without references.
func resolved(e *env, beside string, texts []config.Text, t *config.Text) ([]byte, error) {
	if t.Err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", t.File, t.Err)
	}
	doc := document.Read(t.File, t.Raw, false)
	if doc.Root != nil {
		document.Resolve(doc, e.kinds, config.Lookup(beside, texts, t.ID))
	}
	if !doc.Sound() {
		return nil, config.Faults(doc.Faults())
	}
	return document.YAML(doc.Root)
}

func newDevelopersExport(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "export FOLDER",
		Short: "Write documents to a folder, a file for each developer",
		Long: `Writes every document to FOLDER, which it makes if need be: NAME.yaml for each
developer. Secrets stand as [redacted], so that the files can lie in a repository:
"fantail apply -f FOLDER" to the same daemon keeps its secrets. A file that is there
is never overwritten. ("fantail export" is for events; "fantail backup" keeps
everything, secrets too, sealed.)`,
		Example: "  fantail developers export documents/",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			if err := os.MkdirAll(args[0], 0o700); err != nil {
				return err
			}
			n := 0
			for head, err := range c.Developers(cmd.Context(), "") {
				if err == nil && !event.ValidName(head.Developer) {
					err = errors.New("the daemon names a developer whose name cannot be that of a file")
				}
				if err == nil {
					err = exportDocument(cmd.Context(), c, head.Developer, filepath.Join(args[0], head.Developer+".yaml"))
				}
				if err != nil {
					return fmt.Errorf("after %s: %w", count(n, "document"), err)
				}
				n++
			}
			if e.json {
				return e.printJSON(struct {
					Documents int `json:"documents"`
				}{n})
			}
			_, err = fmt.Fprintf(e.out, "Wrote %s.\n", count(n, "document"))
			return err
		},
	}
}

func exportDocument(ctx context.Context, c *client.Client, developer, path string) error {
	d, err := c.Document(ctx, developer)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(d.Text)
	return errors.Join(err, f.Close())
}
