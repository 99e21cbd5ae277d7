package client

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"time"
)

const maxPage = 1000

// page is one page of a list. It may be empty and not the last: the daemon
// bounds how far it reads for one answer.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`

	Back time.Time `json:"looked_back_to"`
}

// extent is how far a list is followed.
type extent struct {
	limit  int                  // items; 0: all
	pages  int                  // 0: all
	looked func(back time.Time) // is told after each page; nil: nobody is
}

// list follows the cursors of a list.
func list[T any](ctx context.Context, c *Client, path string, query url.Values, to extent) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		q := make(url.Values, len(query)+2)
		for name, values := range query {
			q[name] = values
		}
		for seen, pages := 0, 1; ; pages++ {
			size := maxPage
			if to.limit > 0 {
				size = min(size, to.limit-seen)
			}
			q.Set("limit", strconv.Itoa(size))
			var p page[T]
			if err := c.fetch(ctx, get(path, q), &p); err != nil {
				yield(zero, err)
				return
			}
			for _, item := range p.Items {
				if !yield(item, nil) {
					return
				}
				if seen++; seen == to.limit {
					return
				}
			}
			if to.looked != nil {
				to.looked(p.Back)
			}
			if pages == to.pages {
				return
			}
			switch p.Next {
			case "":
				return
			case q.Get("cursor"): // a daemon that stands still must not make us turn for ever
				yield(zero, fmt.Errorf("the list at %s does not move on", path))
				return
			}
			q.Set("cursor", p.Next)
		}
	}
}

// params builds a query and leaves out what is zero.
type params url.Values

func (p params) text(name string, values ...string) params {
	for _, v := range values {
		if v != "" {
			p[name] = append(p[name], v)
		}
	}
	return p
}

func (p params) time(name string, t time.Time) params {
	if !t.IsZero() {
		p[name] = []string{t.UTC().Format(time.RFC3339Nano)}
	}
	return p
}

func (p params) flag(name string, on bool) params {
	if on {
		p[name] = []string{"true"}
	}
	return p
}
