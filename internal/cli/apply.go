package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/document"
	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

type applyFlags struct {
	from  string
	prune bool
	o     client.ChangeOptions
}

func newApply(e *env) *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "apply -f FILE|FOLDER",
		Short: "Make developers' documents in the daemon what files say",
		Long: `Hands in developers' documents, each for itself: a faulty one blocks no other. It
says what each does, as "fantail reload" does, and lists every fault by its line.
FILE may be - for what is piped in.

It is for a daemon whose fantail.yaml has developers: { store: {} }; with a folder
the files are changed there and taken over by "fantail reload". Documents hold no
references such as ${env:NAME}: "fantail developers import" resolves those of a
folder. A secret that stands as [redacted] keeps the value that the daemon has,
while the destination leads to the same place.

--prune removes the developers who have no file in FOLDER. What they have is kept
as long as retention says. Where nobody would be left, or more than a tenth and
more than two would go, it is refused without --allow-removal; so is a document
without what most of its destinations were.

It ends with 0 when everything was taken and with 1 when something was refused.`,
		Example: `  fantail apply -f acme.yaml
  fantail apply -f developers/ --dry-run
  fantail apply -f developers/ --prune`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := e.apply(cmd.Context(), f)
			return err
		},
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&f.o.DryRun, "dry-run", false, "say what it would do, and change nothing")
	return cmd
}

func newDiff(e *env) *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "diff -f FILE|FOLDER",
		Short: "See what apply would change",
		Long: `Says what "fantail apply" would do with the same files, and changes nothing: names
of developers, destinations and keys, and no values.

It ends with 0 when nothing would change, and with 1 when something would, or is
refused.`,
		Example: `  fantail diff -f developers/
  fantail diff -f acme.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.o.DryRun = true
			steps, err := e.apply(cmd.Context(), f)
			if err == nil && steps > 0 {
				return errSilent
			}
			return err
		},
	}
	f.flags(cmd)
	return cmd
}

func (f *applyFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.from, "filename", "f", "", "file, folder of files, or - for standard input")
	cmd.Flags().BoolVar(&f.prune, "prune", false, "remove developers who have no file in the folder")
	cmd.Flags().BoolVar(&f.o.AllowRemoval, "allow-removal", false, "also if it removes much")
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml")
}

// documentFile is a document of one file.
type documentFile struct {
	developer string
	config.Text
}

// readDocument reads at most what a document may have, and one byte more that tells whether there
// is more.
func readDocument(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, strictyaml.MaxFile+1))
}

// readDocuments reads a file, a folder of files, or standard input.
func (e *env) readDocuments(from string) (all []documentFile, folder bool, err error) {
	switch info, err := os.Stat(from); {
	case from == "":
		return nil, false, usagef("-f says which file or folder to read")
	case from == "-":
		raw, err := readDocument(e.in)
		if err != nil {
			return nil, false, fmt.Errorf("read standard input: %w", err)
		}
		all = []documentFile{{Text: config.Text{File: "standard input", Raw: raw}}}
	case err != nil:
		return nil, false, err
	case info.IsDir():
		texts, err := config.ReadFolder(from)
		if err != nil {
			return nil, true, err
		}
		for _, t := range texts {
			all = append(all, documentFile{Text: t})
		}
		folder = true
	default:
		f, err := os.Open(from)
		if err != nil {
			return nil, false, err
		}
		defer f.Close() //nolint:errcheck // nothing was written
		raw, err := readDocument(f)
		if err != nil {
			return nil, false, err
		}
		all = []documentFile{{Text: config.Text{File: from, Raw: raw}}}
	}
	for i := range all {
		f := &all[i]
		if f.developer = f.ID; folder {
			continue // a file must be called after its developer: the daemon refuses any other
		}
		if doc := document.Read(f.File, f.Raw, false); doc.Root != nil {
			if name := document.Developer(doc.Root); event.ValidName(name) {
				f.developer = name
			}
		} else if f.developer == "" {
			return nil, folder, config.Faults(doc.Faults())
		}
		if f.developer == "" {
			return nil, folder, fmt.Errorf("%s names no developer: write developer: NAME", f.File)
		}
	}
	return all, folder, nil
}

// applied is what came of a document, as JSON.
type applied struct {
	Developer string        `json:"developer"`
	Version   uint64        `json:"version,omitempty"`
	DryRun    bool          `json:"dry_run,omitempty"`
	Plan      []client.Step `json:"plan"`
	Notes     []string      `json:"notes,omitempty"`
	Error     string        `json:"error,omitempty"`
}

// apply hands in documents, and returns how many changes they make.
func (e *env) apply(ctx context.Context, f applyFlags) (steps int, err error) {
	files, folder, err := e.readDocuments(f.from)
	if err != nil {
		return 0, err
	}
	if f.prune && !folder {
		return 0, usagef("--prune needs a folder with everybody's files")
	}
	c, err := e.client()
	if err != nil {
		return 0, err
	}
	failed := 0
	for i := range files {
		done, err := e.put(ctx, c, &files[i], f.o)
		if err != nil && notThisOne(err) {
			return steps, err
		}
		if err != nil {
			failed++
		}
		steps += len(done.Plan)
		if err := e.printApplied(applied{files[i].developer, done.Version, done.DryRun, done.Plan, done.Notes, textOf(err)}); err != nil {
			return steps, err
		}
	}
	if failed > 0 && !e.json {
		fmt.Fprintf(e.err, "fantail: %s of %d refused\n", count(failed, "document"), len(files))
	}
	if f.prune {
		n, err := e.prune(ctx, c, files, f.o)
		if steps += n; err != nil {
			return steps, err
		}
	}
	switch {
	case failed > 0:
		return steps, errSilent
	case e.json:
		return steps, nil
	case steps == 0:
		_, err = fmt.Fprintln(e.out, "Nothing to change.")
	case f.o.DryRun:
		_, err = fmt.Fprintln(e.out, "Nothing was changed.")
	}
	return steps, err
}

// put hands in one document.
func (e *env) put(ctx context.Context, c *client.Client, f *documentFile, o client.ChangeOptions) (client.DocumentChanged, error) {
	if f.Err != nil {
		return client.DocumentChanged{}, fmt.Errorf("%s cannot be read: %w", f.File, f.Err)
	}
	return c.PutDocument(ctx, f.developer, f.Raw, o)
}

// notThisOne tells whether an error is about all documents and not about this one.
func notThisOne(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return !ok && errors.As(err, new(interface{ Timeout() bool })) || ok && (e.Status == 401 || e.Status == 403 || e.Code == "documents_are_files")
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (e *env) printApplied(a applied) error {
	if e.json {
		a.Plan = append([]client.Step{}, a.Plan...)
		return e.printJSON(a)
	}
	if a.Error != "" {
		fmt.Fprintf(e.err, "%s: %s\n", clean(a.Developer), lines(a.Error))
	}
	e.printNotes(a.Notes)
	return e.printPlan(a.Plan)
}

// prune removes the developers of the daemon who have no file.
func (e *env) prune(ctx context.Context, c *client.Client, files []documentFile, o client.ChangeOptions) (steps int, err error) {
	var gone []client.DocumentHead
	all := 0
	for head, err := range c.Developers(ctx, "") {
		if err != nil {
			return 0, err
		}
		all++
		if !slices.ContainsFunc(files, func(f documentFile) bool { return f.developer == head.Developer }) {
			gone = append(gone, head)
		}
	}
	if n := len(gone); n > 0 && (n == all || n > 2 && n*10 > all) && !o.AllowRemoval {
		return 0, fmt.Errorf("--prune would remove %d of %d developers, and removed nobody: if that is meant, say so with --allow-removal", n, all)
	}
	for _, head := range gone {
		done, err := c.RemoveDeveloper(ctx, head.Developer, "keep", client.ChangeOptions{Version: head.Version, DryRun: o.DryRun})
		if err != nil {
			return steps, fmt.Errorf("remove developer %s: %w", clean(head.Developer), err)
		}
		steps += len(done.Plan)
		if err := e.printApplied(applied{Developer: head.Developer, DryRun: o.DryRun, Plan: done.Plan}); err != nil {
			return steps, err
		}
	}
	return steps, nil
}
