package secret

import (
	"cmp"
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// view is an answer, or another view with its escapes undone.
type view struct {
	text  string
	of    *view // nil: it is the answer
	marks []mark
}

// mark is where n bytes of a view stand for an escape of length bytes at from of
// what it is a view of.
type mark struct{ at, n, from, length int32 }

// span returns where the bytes from start to end of the view stand in the answer.
func (v *view) span(start, end int) span {
	if v.of == nil {
		return span{start, end}
	}
	first, _ := v.place(start)
	_, last := v.place(end - 1)
	return v.of.span(first, last)
}

// place returns where byte i stands in what v is a view of: the whole escape, if
// it is one of several bytes for which that stands.
func (v *view) place(i int) (start, end int) {
	next, _ := slices.BinarySearchFunc(v.marks, i, func(m mark, i int) int { return cmp.Compare(int(m.at), i+1) })
	if next == 0 {
		return i, i + 1
	}
	m := v.marks[next-1]
	if start = i - int(m.at+m.n); start < 0 {
		return int(m.from), int(m.from + m.length)
	}
	start += int(m.from + m.length)
	return start, start + 1
}

// escape is a way to write characters.
type escape byte

const (
	inJSON  escape = '\\' // \/ \u0061 \x61
	inURL   escape = '%'  // %61
	inHTML  escape = '&'  // &lt; &#97;
	inQuery escape = '+'  // %61, and + for a space
)

// layers is how many escapes may be one inside of the other, as in a page that
// shows an answer in JSON.
const layers = 2

// views returns the answer as it is and with each of its escapes undone, in each
// order. To undo all at once would be less work, and would miss secrets that look
// like escapes themselves.
func (s *Scrubber) views(text string) []*view {
	all := []*view{{text: text}}
	kinds := []escape{inJSON, inURL, inHTML, inQuery}
	if !s.spaced {
		kinds = kinds[:3]
	}
	for before, layer := 0, 0; layer < layers; layer++ {
		last := all[before:]
		before = len(all)
		for _, v := range last {
			for _, e := range kinds {
				if strings.IndexByte(v.text, byte(e)) < 0 {
					continue
				}
				plain := v.undo(e)
				if !slices.ContainsFunc(all, func(v *view) bool { return v.text == plain.text }) {
					all = append(all, plain)
				}
			}
		}
	}
	return all
}

// undo returns v without escapes of one kind.
func (v *view) undo(e escape) *view {
	plain := &view{of: v}
	out := make([]byte, 0, len(v.text))
	done := 0 // of v.text
	for i := 0; i < len(v.text); i++ {
		if i += next(v.text[i:], e); i == len(v.text) {
			break
		}
		out = append(out, v.text[done:i]...)
		done = i
		at, n := len(out), 0
		switch c := v.text[i]; {
		case e == inJSON:
			out, n = backslash(out, v.text[i:])
		case e == inHTML:
			out, n = entity(out, v.text[i:])
		case c == '%':
			out, n = digits(out, v.text[i:], 1, 2)
		default:
			out, n = append(out, ' '), 1
		}
		if n > 0 {
			plain.marks = append(plain.marks, mark{int32(at), int32(len(out) - at), int32(i), int32(n)})
			done = i + n
			i = done - 1
		}
	}
	plain.text = string(append(out, v.text[done:]...))
	return plain
}

// next returns where in text an escape may begin, its length if none does.
func next(text string, e escape) int {
	i := strings.IndexByte(text, byte(e))
	if e == inQuery {
		i = strings.IndexAny(text, "%+")
	}
	if i < 0 {
		return len(text)
	}
	return i
}

// backslash appends what an escape of JSON, Go, Python or JavaScript stands for,
// and returns its length; 0: it is none.
func backslash(out []byte, text string) ([]byte, int) {
	if len(text) < 2 {
		return out, 0
	}
	switch c := text[1]; c {
	case '/', '"', '\'', '\\':
		return append(out, c), 2
	case 'x':
		return digits(out, text, 2, 2)
	case 'u':
		return unicode(out, text, 4)
	case 'U':
		return unicode(out, text, 8)
	}
	if i := strings.IndexByte("bfnrt", text[1]); i >= 0 {
		return append(out, "\b\f\n\r\t"[i]), 2
	}
	return out, 0
}

// digits appends the byte that is written in n digits of hex after skip bytes.
func digits(out []byte, text string, skip, n int) ([]byte, int) {
	c, ok := number(text, skip, n)
	if !ok {
		return out, 0
	}
	return append(out, byte(c)), skip + n
}

// unicode does so with a character, of which UTF-16 may need two escapes.
func unicode(out []byte, text string, n int) ([]byte, int) {
	c, ok := number(text, 2, n)
	if !ok {
		return out, 0
	}
	if n == 4 && utf16.IsSurrogate(c) && strings.HasPrefix(text[6:], `\u`) {
		if low, ok := number(text, 8, 4); ok {
			return utf8.AppendRune(out, utf16.DecodeRune(c, low)), 12
		}
	}
	return utf8.AppendRune(out, c), 2 + n
}

func number(text string, skip, n int) (rune, bool) {
	if len(text) < skip+n {
		return 0, false
	}
	c, err := strconv.ParseUint(text[skip:skip+n], 16, 31)
	return rune(c), err == nil
}

// entity appends what an entity of HTML stands for.
func entity(out []byte, text string) ([]byte, int) {
	const longest = 10
	end := strings.IndexByte(text[:min(len(text), longest)], ';')
	if end < 0 || strings.IndexByte(text[1:end], '&') >= 0 {
		return out, 0
	}
	plain := html.UnescapeString(text[:end+1])
	if strings.IndexByte(plain, ';') >= 0 && plain != ";" {
		return out, 0
	}
	return append(out, plain...), end + 1
}
