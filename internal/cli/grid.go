package cli

import (
	"fmt"
	"slices"
	"strings"
)

// column is one of a grid.
type column struct {
	head  string
	least int  // columns of the screen that it may be cut down to; 0: it is never cut
	drop  int  // where there is no room for all, the highest goes first; 0: never
	fold  bool // what has no room is continued below, not cut
	fixed int  // its width whatever is in it, where rows come one by one; 0: as its cells need
	whole bool // of a fixed one: what is wider takes its room from the last column of the row
}

// cell is one of a row. A state has a colour.
type cell struct {
	text   string
	colour string
}

// Colours, as the terminal takes them.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	faint  = "2"
)

func texts(all ...string) []cell {
	cells := make([]cell, len(all))
	for i, t := range all {
		cells[i].text = t
	}
	return cells
}

// grid prints rows in aligned columns that fit the screen. Every cell is cleaned.
type grid struct {
	env     *env
	columns []column
	room    int // columns of the screen; 0: as many as it takes
	rows    [][]cell
	headed  bool
}

func (e *env) grid(room int, columns ...column) *grid {
	return &grid{env: e, columns: columns, room: room}
}

// add adds a row; columns are aligned within flushEvery rows.
func (g *grid) add(cells []cell) {
	for i := range cells {
		cells[i].text = clean(cells[i].text)
	}
	if g.rows = append(g.rows, cells); len(g.rows) == flushEvery {
		_ = g.flush() // the last flush tells of an output that is gone, too
	}
}

// flush prints what there is.
func (g *grid) flush() error {
	if g == nil || len(g.rows) == 0 {
		return nil
	}
	shown, widths := g.layout()
	var b strings.Builder
	if !g.headed {
		head := make([]cell, len(g.columns))
		for i, c := range g.columns {
			head[i] = cell{c.head, faint}
		}
		g.line(&b, head, shown, widths)
		g.headed = true
	}
	for _, row := range g.rows {
		g.line(&b, row, shown, widths)
	}
	g.rows = nil
	_, err := fmt.Fprint(g.env.out, b.String())
	return err
}

// layout says which columns are shown and how wide each is.
func (g *grid) layout() (shown, widths []int) {
	widths, least := make([]int, len(g.columns)), make([]int, len(g.columns))
	for i, c := range g.columns {
		widths[i] = width(c.head) // no column is narrower
		for _, row := range g.rows {
			widths[i] = max(widths[i], width(row[i].text))
		}
		if c.fixed > 0 {
			widths[i] = c.fixed
		}
		if least[i] = widths[i]; c.least > 0 {
			least[i] = min(widths[i], max(c.least, width(c.head)))
		}
		shown = append(shown, i)
	}
	total := func(of []int) int {
		n := 2 * (len(shown) - 1)
		for _, i := range shown {
			n += of[i]
		}
		return n
	}
	if g.room == 0 {
		return shown, widths
	}
	for total(least) > g.room {
		out := -1
		for n, i := range shown {
			if d := g.columns[i].drop; d > 0 && (out < 0 || d > g.columns[shown[out]].drop) {
				out = n
			}
		}
		if out < 0 {
			break
		}
		shown = append(shown[:out:out], shown[out+1:]...)
	}
	for total(widths) > g.room {
		widest := -1
		for _, i := range shown {
			if widths[i] > least[i] && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return shown, widths
}

// mostLines is how many lines a folded cell has at the most.
const mostLines = 6

// line prints a row, and below it the continuation of folded cells.
func (g *grid) line(b *strings.Builder, row []cell, shown, widths []int) {
	widths = g.stretched(row, shown, widths)
	pieces, height := make([][]string, len(row)), 1
	for _, i := range shown {
		if g.columns[i].fold {
			if pieces[i] = fold(row[i].text, widths[i]); len(pieces[i]) > mostLines {
				rest := strings.Join(pieces[i][mostLines-1:], " ")
				pieces[i] = append(pieces[i][:mostLines-1:mostLines-1], clip(rest, widths[i]))
			}
		} else {
			pieces[i] = []string{clip(row[i].text, widths[i])}
		}
		height = max(height, len(pieces[i]))
	}
	for n := range height {
		line, blank := "", 0
		for at, i := range shown {
			text := ""
			if n < len(pieces[i]) {
				text = pieces[i][n]
			}
			if text != "" {
				line += strings.Repeat(" ", blank) + g.show(text, row[i].colour)
				blank = 0
			}
			if blank += widths[i] - width(text) + 2; at == len(shown)-1 {
				blank = 0
			}
		}
		b.WriteString(line + "\n")
	}
}

// stretched returns widths with room for the cells of row that may not be cut.
func (g *grid) stretched(row []cell, shown, widths []int) []int {
	last := shown[len(shown)-1]
	for _, i := range shown {
		if more := width(row[i].text) - widths[i]; g.columns[i].whole && more > 0 {
			widths = slices.Clone(widths)
			widths[i] += more
			widths[last] = max(widths[last]-more, g.columns[last].least)
		}
	}
	return widths
}

// show is text as the output takes it.
func (g *grid) show(text, colour string) string {
	if g.env.outTerminal {
		text = isolate(text)
	}
	if colour == "" || !g.env.colours() {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// colours tells whether the output is for eyes that want them: see no-color.org.
func (e *env) colours() bool {
	return e.outTerminal && e.lookup("NO_COLOR") == "" && e.lookup("TERM") != "dumb"
}
