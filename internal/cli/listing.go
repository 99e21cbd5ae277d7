package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	// watchEvery is how often a watched list is asked for again.
	watchEvery = 2 * time.Second
	// watchMost bounds how many rows of a watched list are remembered without a terminal.
	watchMost = 10_000
	// searchPages bounds how often the daemon is asked for rows that no index finds; each page takes some
	// 30 ms.
	searchPages = 200
)

// listFlags are the flags of a list.
type listFlags struct {
	output, sort string
	watch        bool
	limit        int
	limited      bool // by a person
}

func (l *listFlags) flags(cmd *cobra.Command, sorts ...string) {
	f := cmd.Flags()
	f.StringVarP(&l.output, "output", "o", "", "wide (every column, nothing cut), json (one array), jsonl (an object on each line, as --json) or id")
	f.StringVar(&l.sort, "sort", "", "by "+strings.Join(sorts, ", ")+"; with a minus before it the other way round")
	f.BoolVarP(&l.watch, "watch", "w", false, "show it again every 2 seconds; without a terminal only what is new or has changed")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"wide", "json", "jsonl", "id"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(sorts, cobra.ShellCompDirectiveNoFileComp))
}

// listing is a list as commands show it.
type listing[T any] struct {
	env     *env
	listed  listFlags
	items   func(ctx context.Context, limit int) iter.Seq2[T, error] // limit 0: all
	columns []column
	row     func(item T, wide bool) []cell
	id      func(T) string
	order   map[string]func(a, b T) int
	usual   string                          // the order of a table; "": as the daemon lists
	none    string                          // said of an empty table
	unknown func(ctx context.Context) error // says which name of an empty list nobody knows; nil: nobody does
	going   *grid                           // goes on with one head; nil: each time anew
	looked  func() time.Time                // how far back was looked; nil, or the zero time: to the end
}

// run prints the list once, or again and again with --watch.
func (l *listing[T]) run(ctx context.Context) error {
	o := &l.listed
	if l.env.json && o.output == "" {
		o.output = "jsonl"
	}
	if !slices.Contains([]string{"", "wide", "json", "jsonl", "id"}, o.output) {
		return usagef("-o %s: want wide, json, jsonl or id", o.output)
	}
	if o.limit < 0 {
		return usagef("--limit %d: want 0 for all, or more", o.limit)
	}
	by := strings.TrimPrefix(o.sort, "-")
	if _, known := l.order[by]; by != "" && !known {
		return usagef("--sort %s: want %s", o.sort, strings.Join(slices.Sorted(maps.Keys(l.order)), ", "))
	}
	if !l.table() && !o.limited {
		o.limit = 0 // a program must not take a part for the whole
	}
	if o.watch {
		return l.follow(ctx)
	}
	return l.once(ctx)
}

func (l *listing[T]) table() bool { return l.listed.output == "" || l.listed.output == "wide" }

// once prints the list.
func (l *listing[T]) once(ctx context.Context) error {
	o := &l.listed
	more := 0
	if o.limit > 0 {
		more = o.limit + 1 // one more tells that there is more
	}
	found := l.items(ctx, more)
	by, down := strings.CutPrefix(o.sort, "-")
	if by == "" && l.table() {
		by = l.usual
	}
	if by != "" || o.output == "json" {
		all, err := sorted(found, l.order[by], down)
		if err != nil {
			return err
		}
		found = values(all)
	}
	n, err := l.print(found)
	if err != nil {
		return err
	}
	if n == 0 && l.unknown != nil {
		if err := l.unknown(ctx); err != nil {
			return err
		}
	}
	if n == 0 && l.table() {
		fmt.Fprintln(l.env.err, l.none)
	}
	if l.looked == nil {
		return nil
	}
	if back := l.looked(); !back.IsZero() {
		fmt.Fprintf(l.env.err, "Looked back to %s. For what is older: --until %s\n", l.env.moment(back), back.UTC().Format(time.RFC3339))
	}
	return nil
}

func sorted[T any](items iter.Seq2[T, error], order func(a, b T) int, down bool) (all []T, err error) {
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	if order != nil {
		slices.SortStableFunc(all, func(a, b T) int {
			if down {
				return order(b, a)
			}
			return order(a, b)
		})
	}
	return all, nil
}

func values[T any](all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range all {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// print prints items and returns how many there are.
func (l *listing[T]) print(items iter.Seq2[T, error]) (n int, err error) {
	o := &l.listed
	g := l.going
	if g == nil {
		g = l.grid()
	}
	array := o.output == "json"
	before := "[\n"
	for item, err := range items {
		if err != nil {
			return n, errors.Join(g.flush(), err)
		}
		if o.limit > 0 && n == o.limit {
			fmt.Fprintf(l.env.err, "There is more than the %d shown. See --limit.\n", o.limit)
			break
		}
		n++
		switch o.output {
		case "json":
			if _, err := fmt.Fprint(l.env.out, before); err != nil {
				return n, err
			}
			before = ","
			err = l.env.printJSON(item)
		case "jsonl":
			err = l.env.printJSON(item)
		case "id":
			_, err = fmt.Fprintln(l.env.out, clean(l.id(item)))
		default:
			g.add(l.row(item, o.output == "wide"))
		}
		if err != nil {
			return n, err
		}
	}
	if array {
		if n == 0 {
			before = "[\n"
		} else {
			before = ""
		}
		_, err = fmt.Fprint(l.env.out, before+"]\n")
		return n, err
	}
	return n, g.flush()
}

func (l *listing[T]) grid() *grid {
	room, columns := l.env.columns(), slices.Clone(l.columns)
	if l.listed.output == "wide" {
		room = 0
	}
	for i := range columns {
		columns[i].fold = columns[i].fold && l.env.outTerminal // a program wants a row on one line
		if room == 0 && columns[i].head == "AGE" {
			columns[i].head = "ACCEPTED" // the moment itself
		}
	}
	return l.env.grid(room, columns...)
}

// follow shows the list until ctx ends: on a terminal it is redrawn, elsewhere only news is added.
func (l *listing[T]) follow(ctx context.Context) error {
	if l.listed.output == "json" {
		return usagef("--watch has no end, and -o json is one array: use -o jsonl")
	}
	seen := map[string]string{}
	if !l.env.outTerminal {
		l.going = l.grid()
	}
	for {
		if l.env.outTerminal && l.table() {
			fmt.Fprint(l.env.out, "\x1b[H\x1b[2J")
			if err := l.once(ctx); err != nil {
				return err
			}
		} else if err := l.news(ctx, seen); err != nil {
			return err
		}
		if !l.env.pause(ctx, watchEvery) {
			return context.Cause(ctx)
		}
	}
}

// news prints what is new or has changed since the last time.
func (l *listing[T]) news(ctx context.Context, seen map[string]string) error {
	all, err := sorted(l.items(ctx, l.listed.limit), l.order[cmp.Or(strings.TrimPrefix(l.listed.sort, "-"), "")], strings.HasPrefix(l.listed.sort, "-"))
	if err != nil {
		return err
	}
	var fresh []T
	for _, item := range all {
		b, err := json.Marshal(item)
		if err != nil {
			return err
		}
		if id := l.id(item); seen[id] != string(b) {
			if len(seen) >= watchMost {
				clear(seen)
			}
			seen[id] = string(b)
			fresh = append(fresh, item)
		}
	}
	_, err = l.print(values(fresh))
	return err
}
