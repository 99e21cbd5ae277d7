package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// outcome is what became of one event of send, as --json prints it.
type outcome struct {
	Source string `json:"source"`
	Line   int    `json:"line,omitempty"`
	*client.Accepted
	Error *problem `json:"error,omitempty"`
}

type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// result counts and shows one outcome. People see failures, and ids if there are few events: a line
// for each of a million would help nobody.
func (s *sender) result(o outcome) {
	switch {
	case o.Error != nil:
		s.failed++
		if o.Error.Code == unknownDeveloper {
			s.unknown++
		}
	case o.Duplicate:
		s.duplicates++
	default:
		s.accepted++
		s.deliveries += o.Deliveries
	}
	switch {
	case s.env.json:
		s.line.clear()
		_ = s.env.printJSON(o) // a closed pipe ends the process; nothing else can fail here
	case o.Error != nil:
		s.line.clear()
		place := o.Source
		if o.Line > 0 {
			place = fmt.Sprintf("%s:%d", o.Source, o.Line)
		}
		fmt.Fprintln(s.env.err, clean(fmt.Sprintf("%s: %s (%s)", place, o.Error.Message, or(o.Error.Code, "refused"))))
	case s.each && o.Line == 0:
		s.line.clear()
		again := ""
		if o.Duplicate {
			again = ", known already"
		}
		fmt.Fprintln(s.env.out, clean(fmt.Sprintf("%s: %s, %s%s", o.Source, o.ID, count(o.Deliveries, "delivery"), again)))
	}
	s.show()
}

func (s *sender) show() {
	done := s.accepted + s.duplicates + s.failed
	took := s.env.now().Sub(s.began)
	rate := float64(done) / max(took.Seconds(), 0.001)
	text := fmt.Sprintf("%d sent, %d failed, %.0f/s, %s", done, s.failed, rate, span(took.Truncate(time.Second)))
	if s.total > 0 {
		text += fmt.Sprintf(", %d %% of %s", min(100, 100*s.read/s.total), size(s.total))
	}
	s.line.show("%s", text)
}

func (s *sender) waiting(err error, pause time.Duration) {
	s.line.show("the daemon cannot take events now, asking again in %s: %v", span(pause), err)
}

// key returns the idempotency key of an event: a hash of its content, or a random one.
func (s *sender) key(content []byte) string {
	if !s.flags.idempotent {
		return uuid.NewString()
	}
	sum := sha256.Sum256(content)
	return "sha256-" + hex.EncodeToString(sum[:])
}
