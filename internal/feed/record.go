package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// Record is one event as a source has it.
type Record struct {
	ID      string            // by which people find it at the source
	Key     string            // idempotency key, made of the source's own ids: the same whenever it comes
	Headers map[string]string // names in lower case
	Body    []byte            // goes on byte for byte
}

// Mapping says what the headers of records mean. They are called as those of POST /v1/events: dev-id,
// idempotency-key, and with the brand before them reference and ordering-timestamp.
type Mapping struct {
	Developer string // of records without dev-id
	Brand     string // the daemon's setting of that name
}

// Set sets a header. Case does not matter; of two with one name the last counts.
func (r *Record) Set(name, value string) {
	if r.Headers == nil {
		r.Headers = map[string]string{}
	}
	r.Headers[strings.ToLower(name)] = value
}

// request is what the daemon is asked for a record. An error says what no daemon needs to be asked.
func (m Mapping) request(r Record) (client.SendRequest, error) {
	brand := strings.ToLower(m.Brand)
	q := client.SendRequest{
		Developer: r.Headers["dev-id"], Reference: r.Headers[brand+"-reference"],
		IdempotencyKey: r.Headers["idempotency-key"], Body: r.Body,
	}
	if q.Developer == "" {
		q.Developer = m.Developer
	}
	if q.IdempotencyKey == "" {
		q.IdempotencyKey = r.Key
	}
	if at := r.Headers[brand+"-ordering-timestamp"]; at != "" {
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return q, &Refusal{Code: "invalid_ordering_timestamp", Message: fmt.Sprintf("the header %s-ordering-timestamp is not a number of milliseconds since 1970", brand)}
		}
		q.Ordering = time.UnixMilli(ms)
	}
	switch {
	case q.Developer == "":
		return q, &Refusal{Code: "missing_developer", Message: "no developer is named: the record has no header dev-id, and --developer is not given"}
	case len(q.Body) == 0:
		return q, &Refusal{Code: "empty_body", Message: "the record has no value"}
	}
	return q, nil
}

// Refusal is why a record is no event for the daemon.
type Refusal struct {
	Record  Record
	Code    string
	Message string
	Request client.SendRequest
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%s was refused: %s (%s)", r.Record.ID, r.Message, r.Code)
}

// letter is a refused record as a file or queue of dead letters holds it; its line is one that the API, and
// "fantail send", take.
func (r *Refusal) letter(now time.Time) ([]byte, error) {
	type line struct {
		Developer string `json:"dev_id,omitempty"`
		Reference string `json:"reference,omitempty"`
		Ordering  int64  `json:"ordering_timestamp,omitempty"`
		Key       string `json:"idempotency_key"`
		Body      []byte `json:"body"` // base64
	}
	l := line{Developer: r.Request.Developer, Reference: r.Request.Reference, Key: r.Request.IdempotencyKey, Body: r.Record.Body}
	if !utf8.ValidString(l.Key) { // it would be another key when the letter is handed in
		l.Key = r.Record.Key
	}
	if !r.Request.Ordering.IsZero() {
		l.Ordering = r.Request.Ordering.UnixMilli()
	}
	return json.Marshal(struct {
		At      time.Time `json:"at"`
		From    string    `json:"from"`
		Code    string    `json:"code"`
		Message string    `json:"message"`
		Line    line      `json:"line"`
	}{now.UTC().Truncate(time.Millisecond), r.Record.ID, r.Code, r.Message, l})
}

// refusalOf makes one of what the daemon or the mapping said.
func refusalOf(r Record, q client.SendRequest, err error) *Refusal {
	if own, ok := errors.AsType[*Refusal](err); ok {
		return &Refusal{r, own.Code, own.Message, q}
	}
	if e, ok := errors.AsType[*client.Error](err); ok {
		return &Refusal{r, e.Code, e.Message, q}
	}
	return &Refusal{r, "refused", err.Error(), q}
}
