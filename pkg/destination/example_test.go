package destination_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Definition is the kind "lines", which writes each event as a line to a TCP
// server that answers with one.
func Definition() destination.Definition {
	return destination.Define("lines", destination.Traits{Timeout: 10 * time.Second}, func() Config { return Config{} }, open)
}

// Config is what a developer writes under `settings:`.
type Config struct {
	Address string       `yaml:"address"` // host:port
	Token   secret.Value `yaml:"token"`   // sent before the first line
}

// Validate returns all faults at once; each begins with the path of its setting.
func (c Config) Validate() error {
	var faults []error
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		faults = append(faults, errors.New("address: give host:port"))
	}
	if c.Token.IsZero() {
		faults = append(faults, errors.New("token: missing"))
	}
	return errors.Join(faults...)
}

func open(c Config, deps destination.Deps) (destination.Destination, error) {
	return &lines{c, deps.Dial, secret.NewScrubber(c.Token.Reveal())}, nil
}

type lines struct {
	Config
	dial  destination.DialFunc // the only way out: it has the engine's guard
	scrub *secret.Scrubber
}

var _ destination.Destination = (*lines)(nil)

// Send makes one attempt over a connection of its own.
func (l *lines) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	r := destination.Receipt{Address: l.Address}
	said, err := l.say(ctx, fmt.Sprintf("%s\n%s %q\n", l.Token.Reveal(), d.ID, d.Event.Body))
	if err != nil {
		return r, fault.Unanswered(ctx, "write a line", err, l.scrub) // transient: tried again on the schedule
	}
	r.Answer = l.scrub.Excerpt(said, destination.MaxAnswer)
	switch word, _, _ := strings.Cut(strings.TrimSpace(said), " "); word {
	case "ok":
		return r, nil
	case "never": // takes this event on no day
		return r, destination.Reject(fmt.Errorf("write a line: answered %q", fault.Quote(l.scrub, said)))
	case "who": // takes no event with this token
		return r, destination.Misconfigure(errors.New("write a line: the token is refused: mend token"))
	}
	return r, fmt.Errorf("write a line: answered %q", fault.Quote(l.scrub, said))
}

// say writes text and reads the answer, both within ctx.
func (l *lines) say(ctx context.Context, text string) (string, error) {
	c, err := l.dial(ctx, "tcp", l.Address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if until, ok := ctx.Deadline(); ok { // the engine sets one; it may also cancel
		_ = c.SetDeadline(until)
	}
	defer context.AfterFunc(ctx, func() { c.Close() })() // test/arch asks for the reason why no panic can come of it
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	return bufio.NewReader(io.LimitReader(c, 4<<10)).ReadString('\n')
}

func (l *lines) Close() error { return nil }

// String and GoString keep what the fields hold out of every print.
func (l *lines) String() string   { return "lines to " + l.Address }
func (l *lines) GoString() string { return l.String() }

// A whole kind: its settings, what opens it, and one attempt. The engine brings
// retries, timeouts, limits, metrics and logs. See CONTRIBUTING.md for the steps.
func Example() {
	open, err := Definition().Bind(func(settings any) error { // as the engine does, with a developer's YAML
		*settings.(*Config) = Config{Address: "lines.example:7000", Token: secret.New("a-token")}
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	far := func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go answer(there, func(string) string { return "ok" })
		return here, nil
	}
	d, err := open(destination.Deps{Dial: far})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	body := []byte(`{"type":"auth"}`)
	envelope, err := event.Parse(body)
	if err != nil {
		fmt.Println(err)
		return
	}
	receipt, err := d.Send(context.Background(), destination.Delivery{ID: "1_7", Attempt: 1, Event: &event.Event{Envelope: envelope, Body: body}})
	fmt.Printf("%q %v\n", receipt.Answer, err)
	// Output: "ok\n" <nil>
}

// answer is the far side of one connection: it reads the token and a line.
func answer(c net.Conn, line func(string) string) {
	defer c.Close()
	in := bufio.NewReader(c)
	token, _ := in.ReadString('\n')
	text, err := in.ReadString('\n')
	if err != nil {
		return
	}
	said := "who"
	if token == "a-token\n" {
		said = line(strings.TrimSpace(text))
	}
	_, _ = io.WriteString(c, said+"\n")
}
