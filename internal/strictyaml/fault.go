package strictyaml

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Fault is one thing that is wrong in a file. Its message never quotes a value
// of the file, which may be a secret in the wrong place: the line shows it.
type Fault struct {
	File    string
	Line    int // from 1; 0 when it is about the whole file
	Message string
}

// Error returns file:line: message, on one line whatever the parts hold.
func (f Fault) Error() string {
	where := f.File
	if f.Line > 0 {
		where += ":" + strconv.Itoa(f.Line)
	}
	return oneLine(where + ": " + f.Message)
}

// Faults is an error of all that is wrong, one line each: file:line: message.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

// oneLine keeps names and messages from outside from forging lines or driving a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// Sort puts faults in the order of files and lines, and drops those that are there twice.
func Sort(fs []Fault) []Fault {
	slices.SortFunc(fs, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(fs)
}
