package supabase

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
)

// described is a column as PostgREST's root describes it, an OpenAPI document of
// all tables on which the key's role has some right.
type described struct {
	Format      string   // int32, int64, or the type as PostgreSQL writes it, without its length
	MaxLength   int      // 0: none
	Default     any      // nil: none
	Enum        []string // nil: any
	Description string
	notNull     bool
}

// definition is a table of such a document.
type definition struct {
	Required   []string             `json:"required"` // the columns that take no NULL
	Properties map[string]described `json:"properties"`
}

// maxDescription bounds what is read of the document, which has some 5 KiB for
// each table of the schema, whomever it belongs to. It is not kept.
const maxDescription = 32 << 20

// describe asks for the definitions of our tables, by their names; one that is
// missing has no table, or the role has no right on it. It is nil where PostgREST
// describes nothing: its administrator may have turned that off.
func (s *supabase) describe(ctx context.Context) map[string]definition {
	q := request{method: http.MethodGet, path: "/rest/v1/", what: "read the columns",
		header: map[string]string{"Accept": "application/openapi+json, application/json", "Accept-Profile": s.tables.schema}}
	var found map[string][]byte
	names := []string{s.tables.users.bare(), s.tables.data.bare(), s.tables.misc.bare()}
	err := s.service.stream(ctx, q, func(status int, body io.Reader) (err error) {
		if status == http.StatusOK {
			found, err = definitions(io.LimitReader(body, maxDescription), names)
		}
		return err
	})
	if err != nil || found == nil {
		return nil
	}
	all := map[string]definition{}
	for name, text := range found {
		var d definition
		if parsing.JSON(text, &d) != nil || d.Properties == nil {
			return nil
		}
		for _, column := range d.Required {
			if p, ok := d.Properties[column]; ok {
				p.notNull = true
				d.Properties[column] = p
			}
		}
		all[name] = d
	}
	return all
}

// definitions returns the texts of the named members of the object "definitions"
// of a JSON object, nil if there is no such object. It keeps nothing else of the
// document, and checks no more of it than it needs to.
func definitions(r io.Reader, names []string) (map[string][]byte, error) {
	s := scanner{r: bufio.NewReader(r)}
	var found map[string][]byte
	err := s.object(func(name string) error {
		if name != "definitions" {
			return s.skip(nil)
		}
		found = map[string][]byte{}
		return s.object(func(name string) error {
			if !slices.Contains(names, name) {
				return s.skip(nil)
			}
			var kept limited
			err := s.skip(&kept)
			found[name] = kept
			return err
		})
	})
	return found, err
}

// limited keeps no more than what may be parsed.
type limited []byte

func (l *limited) add(c byte) {
	if l != nil && len(*l) < parsing.MaxAnswer {
		*l = append(*l, c)
	}
}

// scanner walks over JSON.
type scanner struct{ r *bufio.Reader }

var errMalformed = errors.New("the description is no JSON object")

func orMalformed(err error) error {
	if err == nil {
		err = errMalformed
	}
	return err
}

// next is the next byte that is no white space.
func (s *scanner) next() (byte, error) {
	for {
		c, err := s.r.ReadByte()
		if err != nil || !strings.ContainsRune(" \t\r\n", rune(c)) {
			return c, err
		}
	}
}

// object calls each for every member of an object, at its value.
func (s *scanner) object(each func(name string) error) error {
	if c, err := s.next(); err != nil || c != '{' {
		return orMalformed(err)
	}
	for {
		c, err := s.next()
		if err != nil || c == '}' {
			return err
		}
		if c == ',' {
			continue
		}
		var name limited
		if c != '"' {
			return errMalformed
		}
		if err := s.text(&name); err != nil {
			return err
		}
		if c, err := s.next(); err != nil || c != ':' {
			return orMalformed(err)
		}
		if err := each(strings.TrimSuffix(string(name), `"`)); err != nil {
			return err
		}
	}
}

// text reads a text whose first quote is read, with its last.
func (s *scanner) text(keep *limited) error {
	for {
		c, err := s.r.ReadByte()
		if err != nil {
			return err
		}
		keep.add(c)
		switch c {
		case '"':
			return nil
		case '\\':
			if c, err = s.r.ReadByte(); err != nil {
				return err
			}
			keep.add(c)
		}
	}
}

// skip reads a value, which keep gets unless it is nil.
func (s *scanner) skip(keep *limited) error {
	for depth := 0; ; {
		c, err := s.next()
		if err != nil {
			return err
		}
		if depth == 0 && (c == ',' || c == '}' || c == ']') { // behind a number or a word
			return s.r.UnreadByte()
		}
		keep.add(c)
		switch c {
		case '"':
			if err := s.text(keep); err != nil {
				return err
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			continue
		}
		if depth == 0 {
			return nil
		}
	}
}
