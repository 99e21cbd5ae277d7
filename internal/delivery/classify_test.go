package delivery

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

func TestAnswersAreFitToShow(t *testing.T) {
	long := strings.Repeat("é", 600)
	tests := []struct{ in, want string }{
		{"plain", "plain"},
		{"", ""},
		{"a\x00b\x1b[31m\x7f", `a\x00b\x1b[31m\x7f`},
		{"line\r\n\tnext", `line\r\n\tnext`},
		{"\xff\xc3(", `\xff\xc3(`},
		{"\u009b31m", `\u009b31m`},
		{"a\u202eb\u2066c\u200fd\u2028e", `a\u202eb\u2066c\u200fd\u2028e`},
		{"pass\u200bword\u200c\u200d\u2060\ufeff\u00ad", `pass\u200bword\u200c\u200d\u2060\ufeff\u00ad`},
		{"a\U000e0041b", `a\U000e0041b`},
		{"naïve 漢字 🙂", "naïve 漢字 🙂"},
		{"\ufffd", "\ufffd"},
		{long, long[:1024]},
		{"x" + long, ("x" + long)[:1023]},
		{strings.Repeat("a", 1023) + "\x00", strings.Repeat("a", 1023)},
	}
	for _, tt := range tests {
		if got := showable(tt.in); got != tt.want {
			t.Errorf("showable(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// brokenError is an error whose methods panic.
type brokenError struct{}

func (brokenError) Error() string { panic("hunter2") }

func TestJudge(t *testing.T) {
	cut := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		return ctx
	}
	live := context.Background()
	no := errors.New("refused")
	tests := []struct {
		name   string
		ctx    context.Context
		r      destination.Receipt
		err    error
		how    policy.How
		class  destination.Class
		answer string
	}{
		{"accepted", live, destination.Receipt{Answer: "ok\n"}, nil, policy.Accepted, 0, `ok\n`},
		{"accepted though cut", cut(ErrShutdown), destination.Receipt{}, nil, policy.Accepted, 0, ""},
		{"failed", live, destination.Receipt{}, no, policy.Failed, destination.Transient, "refused"},
		{"failed with an answer", live, destination.Receipt{Answer: "busy"}, no, policy.Failed, destination.Transient, "busy"},
		{"failed with a broken error", live, destination.Receipt{}, brokenError{}, policy.Failed, destination.Transient, "unreadable error"},
		{"timed out", cut(errTimeout), destination.Receipt{}, no, policy.TimedOut, destination.Transient, "no answer within 1s: refused"},
		{"cut", cut(ErrShutdown), destination.Receipt{}, no, policy.Interrupted, destination.Transient, ErrShutdown.Error()},
		{"lease lost", cut(store.ErrFenced), destination.Receipt{}, no, policy.Interrupted, destination.Transient, store.ErrFenced.Error()},
		{"rejected though cut", cut(ErrShutdown), destination.Receipt{}, destination.Reject(no), policy.Failed, destination.Rejected, "refused"},
		{"our fault", live, destination.Receipt{}, errors.Join(no, destination.ErrEngine), policy.EngineFault, destination.Transient, `refused\nengine fault`},
	}
	for _, tt := range tests {
		e := classify(tt.ctx, tt.r, tt.err, true, time.Second)
		if e.How != tt.how || e.Class != tt.class || e.Answer != tt.answer {
			t.Errorf("%s: %+v", tt.name, e)
		}
	}
	if e := classify(live, destination.Receipt{}, nil, false, time.Second); e.How != policy.Panicked {
		t.Errorf("%+v", e)
	}
}
