package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// printJSON prints v on one line. A character that a terminal could act on is written as \uXXXX,
// which means the same to a reader of JSON.
func (e *env) printJSON(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode the output: %w", err)
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if bytes.ContainsFunc(text, hazard) {
		text = escapeJSON(text)
	}
	_, err := e.out.Write(append(text, '\n'))
	return err
}

// escapeJSON escapes hazardous characters in encoded JSON, where they can only be within strings.
func escapeJSON(text []byte) []byte {
	out := make([]byte, 0, len(text)+16)
	for _, r := range string(text) {
		switch {
		case r == utf8.RuneError || !hazard(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// table prints rows in aligned columns. Every cell is cleaned.
type table struct {
	w    *tabwriter.Writer
	rows int
}

// flushEvery bounds what a table keeps in memory; columns are aligned within it.
const flushEvery = 1000

func newTable(out io.Writer, head ...string) *table {
	t := &table{w: tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)}
	fmt.Fprintln(t.w, strings.Join(head, "\t"))
	return t
}

func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = clean(c)
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
	if t.rows++; t.rows%flushEvery == 0 {
		t.w.Flush()
	}
}

// flush prints what is left. There may be no table at all.
func (t *table) flush() error {
	if t == nil {
		return nil
	}
	return t.w.Flush()
}

// facts prints name and value pairs under each other, leaving out empty values.
func (e *env) facts(pairs ...[2]string) error {
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	for _, p := range pairs {
		if p[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", p[0], clean(p[1]))
		}
	}
	return w.Flush()
}

// printList prints a list: as lines of JSON, or as a table of at most limit rows (0: all) that fits
// the screen and says when there is more. none is printed for an empty table.
func printList[T any](e *env, items iter.Seq2[T, error], limit int, columns []column, row func(T) []string, none string) error {
	for i := range columns {
		columns[i].fold = columns[i].fold && e.outTerminal // a program wants a row on one line
	}
	t := e.grid(e.columns(), columns...)
	n := 0
	for item, err := range items {
		if err != nil {
			return errors.Join(t.flush(), err)
		}
		if limit > 0 && n == limit {
			err := t.flush()
			fmt.Fprintf(e.err, "There is more than the %d shown. See --limit.\n", limit)
			return err
		}
		n++
		if e.json {
			if err := e.printJSON(item); err != nil {
				return err
			}
			continue
		}
		t.add(texts(row(item)...))
	}
	if n == 0 && !e.json {
		fmt.Fprintln(e.err, none)
	}
	return t.flush()
}
