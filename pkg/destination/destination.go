// Package destination is the contract between the engine and the places it
// delivers to. A destination makes one attempt and says how it went; queueing,
// retries, timeouts, concurrency, metrics and logs belong to the engine.
package destination

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
)

// Destination delivers events to one configured place.
type Destination interface {
	// Send makes one attempt; nil means that the far side has the event. Any
	// other error is classified by [ClassOf]. Send never retries, honours ctx
	// (which carries the attempt's timeout), and may be called from several
	// goroutines at once. A repeated Send of one Delivery.ID must not store
	// twice wherever the far side can tell; in a later Delivery.Round it may.
	Send(ctx context.Context, d Delivery) (Receipt, error)
	// Close releases connections. No Send is running when it is called.
	Close() error
}

// Batcher is implemented by destinations that deliver several events in one
// call faster than one by one. The engine collects only what is due already
// and never waits for more.
type Batcher interface {
	// SendBatch makes one attempt of every delivery: one Result each, in order.
	SendBatch(ctx context.Context, ds []Delivery) []Result
	// MaxBatch is the largest number of deliveries in one call, at least 1.
	MaxBatch() int
}

// Checker is implemented by destinations that can probe the far side. Nothing is
// left behind that the credentials may remove.
type Checker interface {
	// Check returns nil or a [Remark] if deliveries can be made, else an error
	// as Send does.
	Check(ctx context.Context) error
}

// Presenter is implemented by destinations that may show the far side
// certificates of their own, so that a check can say when they end.
type Presenter interface {
	// Certificates returns those of the settings; none of a private key. It
	// connects to nothing.
	Certificates() []*x509.Certificate
}

// Explainer is implemented by destinations that can show what Send would send.
type Explainer interface {
	// Explain returns what a Send of d, started now, would do. It sends nothing.
	Explain(d Delivery) (Explanation, error)
}

// Explanation is one request that would be made.
type Explanation struct {
	Target  string      `json:"target"`            // URL, table, bucket or queue, free of secrets
	Headers http.Header `json:"headers,omitempty"` // credentials redacted
	Key     string      `json:"key,omitempty"`     // object or row that would be written
	Body    string      `json:"body"`
}

// Delivery is one event on its way to one destination.
type Delivery struct {
	ID      string // the same on every attempt, unique per delivery: the trace id and, with Round, the far side's idempotency key
	Attempt int    // counts from 1 within the delivery's schedule
	Event   *event.Event

	// Round is how often a person started the delivery again after it had ended; 0 at
	// first, and the same on every automatic retry, over restarts too. A far side that
	// drops repeats by an id of ours needs another one in every round, or drops what
	// was sent again on purpose. A replay is a delivery with an ID of its own, Round 0.
	Round int

	Trace *event.TraceContext // for a far side that takes W3C Trace Context; nil: none
}

// MaxAnswer is how much of an answer is kept, in bytes.
const MaxAnswer = 1 << 10

// Receipt is what the far side answered; it is kept with the attempt.
type Receipt struct {
	Code     int    // HTTP status or the protocol's own code; 0 if there is none
	Answer   string // an excerpt of at most [MaxAnswer] bytes, raw; free of our secrets
	Address  string // the address connected to, host:port; "" if unknown
	Requests int    // requests made where that can be more than one (see pkg/exchange); 0: not told
	// Unguarded is how many objects were stored where it could not be seen, or not on
	// a condition, whether they are newer than what is there. The engine counts them.
	Unguarded int
}

// Result is the outcome of one delivery of a batch.
type Result struct {
	Receipt Receipt
	Err     error
}

// DialFunc is net.Dialer.DialContext with the engine's guard.
type DialFunc = exchange.DialFunc

// Deps is what the engine lends to every destination.
type Deps struct {
	Log       *slog.Logger
	Exchange  *exchange.Client // guarded requests over HTTP/1.1, one an attempt; its connections belong to this destination alone
	HTTP      *http.Client     // Exchange for SDKs that want a client of net/http's; follows no redirects
	Dial      DialFunc         // guarded; for protocols that are not HTTP
	Payloads  PayloadStore     // the operator's; for kinds that link to payloads
	Catalogue *event.Catalogue
	Ambient   bool         // may use the operator's own cloud credentials
	Metadata  *http.Client // the only way to the metadata service of a cloud, for ambient credentials; nil unless Ambient
	Brand     string       // prefix of headers and tables: "terra"
	UserAgent string       // "Fantail/<version>"
}

// Opener builds a destination from settings that are already valid. It never
// connects: a far side that is down must not delay a reload.
type Opener func(Deps) (Destination, error)

// Traits are the defaults of a kind for settings that belong to the engine.
type Traits struct {
	Frozen  bool          // retries keep the settings of their first attempt unless the destination says otherwise
	Timeout time.Duration // of one attempt
	Links   bool          // links to payloads in Deps.Payloads, which then is not nil: see [PayloadOwner]
}

// Branded is what a kind's settings implement that are sound or not by the
// operator's brand. ValidateBrand speaks as Validate does and is asked besides
// it, so that no developer's file is found faulty only when it is opened.
type Branded interface{ ValidateBrand(brand string) error }

// Ambienter is what a kind's settings implement that may name no credentials of
// their own and then use the operator's, which only fantail.yaml can permit
// (`ambient`).
type Ambienter interface{ NeedsAmbient() bool }

// Serial is what a kind's settings implement whose deliveries overwrite each other, so that two
// processes at a time could leave the older one. Of several daemons one makes all of them then.
type Serial interface{ Serial() bool }

// Noter is what a kind's settings implement of which some are allowed but hardly
// meant. Each note begins with the path of its setting, as faults do, says what
// to do, and shows no secret. Notes is asked of settings that are not validated
// yet. The form of every secret (a blank at its end, quotes around it, a name
// that was never replaced) is the engine's to look at, not a kind's.
type Noter interface{ Notes() []string }

// PayloadOwner is what the settings of a kind with Traits.Links implement that
// may name a bucket of their own, so that the operator's payload store is not
// needed and Deps.Payloads may be nil.
type PayloadOwner interface{ OwnPayloads() bool }

// Definition is one kind of destination: its settings and how to open it.
type Definition struct {
	Kind   string
	Traits Traits
	bind   func(decode func(into any) error) (Opener, error)
}

// Bind decodes and validates the settings of one destination with decode, which
// fills a pointer to the kind's settings. It opens nothing, and what it finds
// follows from the settings alone: of settings that did not change it is not
// asked again. Several are bound at once.
func (d Definition) Bind(decode func(into any) error) (Opener, error) { return d.bind(decode) }

// Define makes a Definition of a typed configuration and its constructor.
func Define[C interface{ Validate() error }](kind string, traits Traits, defaults func() C, open func(C, Deps) (Destination, error)) Definition {
	return Definition{Kind: kind, Traits: traits, bind: func(decode func(any) error) (Opener, error) {
		cfg := defaults()
		if err := decode(&cfg); err != nil {
			return nil, err
		}
		if err := cfg.Validate(); err != nil {
			return nil, err
		}
		return func(deps Deps) (Destination, error) { return open(cfg, deps) }, nil
	}}
}

// Registry finds the Definition of a kind.
type Registry map[string]Definition

// NewRegistry builds a registry. It panics on a kind defined twice, which only
// a mistake in the program can cause.
func NewRegistry(defs ...Definition) Registry {
	r := make(Registry, len(defs))
	for _, d := range defs {
		if _, twice := r[d.Kind]; twice {
			panic(fmt.Sprintf("destination kind %q is defined twice", d.Kind))
		}
		r[d.Kind] = d
	}
	return r
}
