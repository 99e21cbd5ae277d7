package ingest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

const (
	maxReference      = 128 // of the data contract; receivers rely on it
	maxIdempotencyKey = 255
)

// The ordering time guards newer data against older. A time outside these bounds is a
// producer's mistake of unit (seconds, microseconds). Once stored it would win, or lose, against
// everything for ever.
var (
	minOrdering = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	maxOrdering = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// checkFields checks all that stands beside the body.
func (in *Ingest) checkFields(r *Request) *Refusal {
	if in.limits.Body > 0 && int64(len(r.Body)) > in.limits.Body {
		return Refuse(413, "too_large", fmt.Sprintf("the body has %d bytes, more than the %d that are allowed", len(r.Body), in.limits.Body))
	}
	if len(r.Reference) > maxReference || !visible(r.Reference) {
		r.Reference = "" // the event matters more than its label: it gets a fresh UUID, which the answer tells
	}
	if len(r.IdempotencyKey) > maxIdempotencyKey || !visible(r.IdempotencyKey) {
		return Refuse(400, "invalid_idempotency_key", fmt.Sprintf("the idempotency key must be 1 to %d visible ASCII characters", maxIdempotencyKey))
	}
	if !r.Ordering.IsZero() && (r.Ordering.Before(minOrdering) || !r.Ordering.Before(maxOrdering)) {
		return Refuse(400, "invalid_ordering_timestamp", "the ordering timestamp must be milliseconds since 1970, of a time from 2000 to 2199")
	}
	return nil
}

// visible tells whether s holds nothing but visible ASCII: no spaces, so that
// it passes through any header unchanged.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// newReference returns a fresh UUID (version 4). It names a request and guards
// nothing, so the runtime's own generator will do and costs no system call.
func newReference() string {
	var id event.ID
	binary.LittleEndian.PutUint64(id[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

// OrderingTime reads milliseconds since 1970.
func OrderingTime(s string) (time.Time, error) {
	ms, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return time.Time{}, Refuse(400, "invalid_ordering_timestamp", "the ordering timestamp must be a whole number of milliseconds since 1970")
	}
	return time.UnixMilli(int64(ms)), nil
}
