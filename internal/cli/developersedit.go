package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newDevelopersEdit(e *env) *cobra.Command {
	var allow bool
	cmd := &cobra.Command{
		Use:   "edit DEVELOPER",
		Short: "Change a document in your editor",
		Long: `Opens a developer's document in $VISUAL or $EDITOR, and hands in what you made of it
for the version that you saw: what somebody else changed meanwhile is not lost.
Leave [redacted] where a secret stays as it is. A text that does not change, or is
empty, changes nothing. What is refused stays in a file, whose name is said.`,
		Example: "  fantail developers edit acme",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			editor := cmp.Or(e.lookup("VISUAL"), e.lookup("EDITOR"))
			switch {
			case !e.inTerminal || !e.outTerminal:
				return usagef("there is no terminal to edit in: use \"fantail developers get\" and \"fantail apply -f\"")
			case editor == "":
				return usagef("neither VISUAL nor EDITOR names an editor")
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			return e.edit(cmd.Context(), c, args[0], editor, allow)
		},
	}
	cmd.Flags().BoolVar(&allow, "allow-removal", false, "also if it removes much")
	return cmd
}

func (e *env) edit(ctx context.Context, c *client.Client, developer, editor string, allow bool) error {
	d, err := c.Document(ctx, developer)
	if err != nil {
		return err
	}
	if d.Version == 0 {
		return errors.New("the developers' documents are files: change them in their folder, and say \"fantail reload\"")
	}
	file, err := os.CreateTemp("", "fantail-*.yaml") // mode 0600
	if err != nil {
		return fmt.Errorf("make a file to edit: %w", err)
	}
	name := file.Name()
	_, err = file.Write(d.Text)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(fmt.Errorf("write the file to edit: %w", err), os.Remove(name))
	}
	// An editor may have arguments of its own, as git and kubectl allow.
	run := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "sh", name)
	run.Stdin, run.Stdout, run.Stderr = e.in, e.out, e.err
	if err := run.Run(); err != nil {
		return errors.Join(fmt.Errorf("the editor failed, and nothing was changed: %w", err), os.Remove(name))
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if bytes.Equal(text, d.Text) || len(bytes.TrimSpace(text)) == 0 {
		fmt.Fprintln(e.err, "Nothing was changed.")
		return os.Remove(name)
	}
	done, err := c.PutDocument(ctx, developer, text, client.ChangeOptions{Version: d.Version, AllowRemoval: allow})
	if refused, ok := errors.AsType[*client.Error](err); ok && refused.Code == "stale" {
		return fmt.Errorf("%w\nsomebody changed it while you did: your text, for version %d, is in %s; say fantail developers edit %s again, and enter what you changed", err, d.Version, name, developer)
	}
	if err != nil {
		return fmt.Errorf("%w\nyour text is in %s: mend it, and say fantail apply -f %s", err, name, name)
	}
	return errors.Join(os.Remove(name), e.changed(done, nil))
}
