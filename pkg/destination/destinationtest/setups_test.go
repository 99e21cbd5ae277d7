package destinationtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// answering is a destination whose check and sends end as it says.
type answering struct{ check, send error }

func (a answering) Check(context.Context) error { return a.check }
func (a answering) Send(context.Context, destination.Delivery) (destination.Receipt, error) {
	return destination.Receipt{}, a.send
}
func (a answering) Close() error { return nil }

func TestSetupsAreHeldToTheirVerdicts(t *testing.T) {
	held := destination.Misconfigure(errors.New("run: ALTER TABLE"))
	for _, c := range []struct {
		name        string
		is          answering
		check, send Verdict
		unseen      string
		says        string // of the failure; "": it passes
	}{
		{"fine", answering{}, Verdict{}, Verdict{}, "", ""},
		{"noted", answering{check: destination.Remark("slow")}, Verdict{Noted, []string{"slow"}}, Verdict{}, "", ""},
		{"held", answering{held, held}, Verdict{Held, []string{"ALTER"}}, Verdict{Held, []string{"run: "}}, "", ""},
		{"another class", answering{held, destination.Reject(errors.New("no"))}, Verdict{Is: Held}, Verdict{Is: Held}, "", "refused: no; want held"},
		{"another text", answering{held, held}, Verdict{Held, []string{"GRANT"}}, Verdict{Is: Held}, "", `want it to say "GRANT"`},
		{"sees nothing", answering{nil, held}, Verdict{}, Verdict{Is: Held}, "", "say why"},
		{"cannot see it", answering{nil, held}, Verdict{}, Verdict{Is: Held}, "by design", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Setup{Check: c.check, Send: c.send, Unseen: c.unseen,
				Open: func(testing.TB, destination.Deps) destination.Destination { return c.is }}
			failed := strings.Join(watch(t, func(tb testing.TB) { s.run(newSetupBench(tb)) }).messages, "\n")
			if c.says == "" && failed != "" || !strings.Contains(failed, c.says) {
				t.Errorf("it failed with %q, want %q", failed, c.says)
			}
		})
	}
}
