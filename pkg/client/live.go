package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// LiveAttempt is an attempt that has ended, and what became of its delivery.
type LiveAttempt struct {
	At          time.Time `json:"at,omitzero"`        // its end
	Delivery    string    `json:"delivery,omitempty"` // id; "": only Lost is told
	Developer   string    `json:"developer,omitempty"`
	Destination string    `json:"destination,omitempty"`
	Kind        string    `json:"kind,omitempty"`
	Type        string    `json:"type,omitempty"` // of the event
	User        string    `json:"user,omitempty"`
	Tried       int       `json:"tried,omitzero"` // attempts of the present schedule that counted, this one included
	Class       string    `json:"class,omitempty"`
	Code        int       `json:"code,omitzero"`
	Answer      string    `json:"answer,omitempty"`
	Fault       string    `json:"fault,omitempty"` // why it failed
	Millis      int64     `json:"ms,omitzero"`
	State       string    `json:"state,omitempty"`  // of the delivery
	Reason      string    `json:"reason,omitempty"` // why it is dead
	Due         time.Time `json:"due,omitzero"`     // of the next attempt
	Lost        int       `json:"lost,omitzero"`    // attempts just before this one that were not told: they came too fast
}

// silence is how long a live daemon says nothing at the most: it tells every 15 s that it is there.
const silence = 45 * time.Second

// maxLive is the longest line of a stream.
const maxLive = 1 << 20

// Follow tells of attempts as they end, from now on: those of one developer, or "" for
// all; to one destination of theirs, or "" for any. The sequence ends with ctx, or
// with an error: an [*Error] with the code stopping when the daemon stops.
func (c *Client) Follow(ctx context.Context, developer, destination string) iter.Seq2[LiveAttempt, error] {
	q := params{}.text("developer", developer).text("destination", destination)
	return follow[LiveAttempt](ctx, c, url.Values(q), "attempts", "attempt")
}

// FollowTotals tells every two seconds what [Client.DestinationTotals] of all that the token may see is. The sequence
// ends as that of [Client.Follow].
func (c *Client) FollowTotals(ctx context.Context) iter.Seq2[Totals, error] {
	return follow[Totals](ctx, c, url.Values{"tell": {"counters"}}, "counters", "counters")
}

// follow hands on the data of events of a stream until it ends. what they tell of stands in errors.
func follow[T any](ctx context.Context, c *Client, q url.Values, what, event string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		err := c.once(ctx, call{method: http.MethodGet, path: "/v1/live", query: q}, func(res *http.Response) error {
			if c.Following != nil {
				c.Following()
			}
			quiet := time.AfterFunc(silence, func() { cancel(fmt.Errorf("the daemon has said nothing for %v", silence)) })
			defer quiet.Stop()
			return readLive(res.Body, what, event, func() { quiet.Reset(silence) }, yield)
		})
		if errors.Is(err, errEnough) {
			return
		}
		if cause := context.Cause(ctx); cause != nil && err != nil {
			err = cause
		}
		var none T
		yield(none, err)
	}
}

// errEnough ends a stream that nobody wants more of.
var errEnough = errors.New("enough")

// readLive hands on what a stream of server-sent events tells of.
func readLive[T any](body io.Reader, what, event string, alive func(), yield func(T, error) bool) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxLive)
	name := ""
	for lines.Scan() {
		alive()
		field, value, _ := bytes.Cut(lines.Bytes(), []byte(": "))
		switch string(field) {
		case "event":
			name = string(value)
		case "data":
			if name == "end" {
				var why struct{ Code, Message string }
				_ = json.Unmarshal(value, &why) // then it says nothing
				return &Error{Status: http.StatusOK, Code: why.Code, Message: why.Message}
			}
			if name != event {
				continue // what a newer daemon tells
			}
			var told T
			if err := json.Unmarshal(value, &told); err != nil {
				return fmt.Errorf("follow %s: %w", what, err)
			}
			if !yield(told, nil) {
				return errEnough
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("follow %s: %w", what, err)
	}
	return fmt.Errorf("follow %s: %w", what, io.ErrUnexpectedEOF)
}
