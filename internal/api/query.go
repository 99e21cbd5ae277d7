package api

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	maxLimit     = 1000
	defaultLimit = 100
)

// query is the query of a request, read strictly: a filter with a typing
// error must not select everything, nor a change with one do another thing.
type query struct {
	values url.Values
	err    error // the first fault of a value
}

// readQuery reads the query of c and refuses what is not known.
func (c *call) readQuery(known params) error {
	if c.r.URL.RawQuery == "" || slices.Equal(known, anyQuery) {
		return nil
	}
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return refuse(400, "invalid_parameter", "the query cannot be read: "+err.Error())
	}
	for name, given := range values {
		switch {
		case slices.Contains(known, name+"*"):
		case !slices.Contains(known, name):
			return refuse(400, "invalid_parameter", fmt.Sprintf("unknown parameter %q: %v", name, known))
		case len(given) > 1:
			return refuse(400, "invalid_parameter", fmt.Sprintf("the parameter %q stands twice", name))
		}
		if slices.Contains(given, "") {
			// If it counted as left out, until= of a script whose variable is empty would select
			// everything.
			return refuse(400, "invalid_parameter", fmt.Sprintf("the parameter %q is empty: leave it out, or give it a value", name))
		}
	}
	c.query.values = values
	return nil
}

// String says what is wanted.
func (p params) String() string {
	if len(p) == 0 {
		return "this call takes none in its query"
	}
	return "want " + strings.ReplaceAll(strings.Join(p, ", "), "*", "")
}

func (q *query) text(name string) string { return q.values.Get(name) }

// fault remembers the first fault.
func (q *query) fault(err *ingest.Refusal) {
	if err != nil && q.err == nil {
		q.err = err
	}
}

func (q *query) time(name string) time.Time {
	t, err := parseTime(name, q.text(name))
	q.fault(err)
	return t
}

func (q *query) flag(name string) bool {
	v := q.text(name)
	if v == "" {
		return false
	}
	on, err := strconv.ParseBool(v)
	if err != nil {
		q.fault(refuse(400, "invalid_parameter", fmt.Sprintf("%s is true or false", name)))
	}
	return on
}

func (q *query) numbers(name string) (all []int) {
	for _, v := range q.values[name] {
		n, err := strconv.Atoi(v)
		if err != nil {
			q.fault(refuse(400, "invalid_parameter", fmt.Sprintf("%s is a number", name)))
		}
		all = append(all, n)
	}
	return all
}

// limit is how many items a page may have.
func (q *query) limit() int {
	v := q.text("limit")
	if v == "" {
		return defaultLimit
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxLimit {
		q.fault(badLimit())
	}
	return n
}

func badLimit() *ingest.Refusal {
	return refuse(400, "invalid_parameter", fmt.Sprintf("limit is a number from 1 to %d", maxLimit))
}

// parseTime reads RFC 3339; "" is the zero time.
func parseTime(name, v string) (time.Time, *ingest.Refusal) {
	if v == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return time.Time{}, refuse(400, "invalid_parameter", fmt.Sprintf("%s is a time such as 2026-07-01T09:12:33Z (RFC 3339)", name))
	}
	return t, nil
}

// page is one page of a list. Next comes with few items or none when a scan
// reached its bound; "" ends the list.
type page[T any] struct {
	Items []T       `json:"items"`
	Next  string    `json:"next"`
	Back  time.Time `json:"looked_back_to,omitzero"` // down to which acceptance; of the last page: to the end
}

// pageOf translates the items of a page; a list without items is [] in JSON.
func pageOf[T, V any](found store.Page[T], view func(*T) V) page[V] {
	p := page[V]{Items: make([]V, len(found.Items)), Next: found.Next, Back: found.Back}
	for i := range found.Items {
		p.Items[i] = view(&found.Items[i])
	}
	return p
}
