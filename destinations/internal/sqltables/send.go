package sqltables

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/ownbucket"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fanout"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// maxItems is how many items of one event become rows. Real events have
// hundreds; the rows of all of them are in memory at once.
const maxItems = 20_000

// MaxBatch is how many deliveries share a transaction at most.
const MaxBatch = 64

// Writer stores rows in one transaction, all of them or none.
type Writer interface {
	// Write makes one attempt. Alone says that each delivery of several should be
	// tried by itself, since one of them may be at fault for all.
	Write(ctx context.Context, rows *Rows) (r destination.Receipt, alone bool, err error)
}

// Sender makes attempts: payloads first, then rows with fresh links, so that no
// row ever leads to nothing.
type Sender struct {
	Catalogue *event.Catalogue
	payloads  *ownbucket.Store
	settings  Settings
	to        Writer
}

// NewSender opens where payloads go. It never connects.
func NewSender(s Settings, deps destination.Deps, to Writer) (*Sender, error) {
	store, err := s.Payloads.Open(deps)
	if err != nil {
		return nil, err
	}
	c := deps.Catalogue
	if c == nil {
		c = event.DefaultCatalogue()
	}
	return &Sender{c, store, s, to}, nil
}

// Close ends what belongs to a bucket of the destination's own.
func (s *Sender) Close() error { return s.payloads.Close() }

// Check looks at the bucket of the destination's own, at how long links live, and
// at the client certificate of with.
func (s *Sender) Check(ctx context.Context, with farside.TLS) error {
	err := s.payloads.Check(ctx)
	bucket, ok := errors.AsType[destination.Remark](err)
	if err != nil && !ok {
		return err
	}
	now := time.Now()
	found := []string{string(bucket), with.Ending(now)}
	link, err := s.payloads.Link(ctx, "fantail", event.NewID(now, 0, 0).String(), s.settings.LinkTTL)
	if err != nil {
		return err
	}
	// Temporary credentials end within 12 hours, and retention may be short.
	if life := link.Expires.Sub(now); life < s.settings.LinkTTL-time.Minute {
		found = append(found, fmt.Sprintf("links live for %v and not for %v, as link_ttl has it: what signs them, or what they lead to, ends sooner", life.Round(time.Second), s.settings.LinkTTL))
	}
	if found = slices.DeleteFunc(found, func(text string) bool { return text == "" }); len(found) > 0 {
		return destination.Remark(strings.Join(found, "; "))
	}
	return nil
}

// part is one delivery of a batch on its way.
type part struct {
	event  *event.Event
	result *destination.Result
	frame  frame
	rows   []Payload
}

func (p *part) fail(err error) {
	if p.result.Err == nil {
		p.result.Err = err
	}
}

func (p *part) failed() bool { return p.result.Err != nil }

// Send makes one attempt of a batch. The rows of all go in one transaction; if
// that fails for what may be the fault of one, each goes again in its own.
func (s *Sender) Send(ctx context.Context, ds []destination.Delivery) []destination.Result {
	results := make([]destination.Result, len(ds))
	parts := make([]*part, len(ds))
	for i, d := range ds {
		parts[i] = &part{event: d.Event, result: &results[i]}
		parts[i].frame, results[i].Err = frameOf(d.Event, s.Catalogue)
	}
	s.put(ctx, parts)
	var ready []*part
	for _, p := range parts {
		if p.result.Err == nil {
			ready = append(ready, p)
		}
	}
	if len(ready) == 0 {
		return results
	}
	if alone := s.write(ctx, ready); alone && len(ready) > 1 {
		for i := range ready {
			s.write(ctx, ready[i:i+1])
		}
	}
	return results
}

// write stores the rows of parts in one transaction.
func (s *Sender) write(ctx context.Context, parts []*part) (alone bool) {
	var r destination.Receipt
	err := destination.Guard(func() (err error) { r, alone, err = s.to.Write(ctx, gather(parts)); return err })
	for _, p := range parts {
		*p.result = destination.Result{Receipt: r, Err: err}
	}
	return alone
}

// one is a payload and the delivery it belongs to.
type one struct {
	part    *part
	payload event.Payload
}

// put stores the payloads of parts and links to them. What fails ends its
// delivery and spares the others.
func (s *Sender) put(ctx context.Context, parts []*part) {
	fanout.Each(s.each(parts), fanout.Order[one]{Width: fanout.Width}, func(x one) (Payload, error) {
		return s.putOne(ctx, x)
	}, func(x one, row Payload, err error) bool {
		if err != nil {
			x.part.fail(err)
		} else {
			x.part.rows = append(x.part.rows, row)
		}
		return true
	})
}

// each yields the payloads of parts, of those that have not failed.
func (s *Sender) each(parts []*part) iter.Seq[one] {
	return func(yield func(one) bool) {
		for _, p := range parts {
			if p.failed() {
				continue
			}
			n := 0
			for payload := range s.Catalogue.Payloads(p.event) {
				if n++; n > maxItems {
					p.fail(destination.Reject(fmt.Errorf("the event has more than %d items, and each would be a row", maxItems)))
				}
				if p.failed() {
					break
				}
				if !yield(one{p, payload}) {
					return
				}
			}
		}
	}
}

// putOne stores one payload and returns the row that links to it.
func (s *Sender) putOne(ctx context.Context, x one) (Payload, error) {
	e, stored := x.part.event, x.payload
	if s.settings.Content == ContentItem {
		if body, ok := s.Catalogue.Item(e, stored); ok {
			stored.ID, stored.Body = stored.ID+event.ItemSuffix, body
		}
	}
	if err := s.payloads.Put(ctx, e.Developer, stored); err != nil {
		return Payload{}, err
	}
	link, err := s.payloads.Link(ctx, e.Developer, stored.ID, s.settings.LinkTTL)
	if err == nil && time.Until(link.Expires) <= 0 {
		err = errors.New("the link would have expired before it was stored: what signs it ends too soon")
	}
	if err != nil {
		return Payload{}, err
	}
	return x.part.frame.payload(x.payload, link.URL), nil
}
