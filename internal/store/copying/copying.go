package copying

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// Side is a store of a copy.
type Side struct {
	Name string // shown to people
	Open func(context.Context) (Store, error)
}

// Options of a copy.
type Options struct {
	From, To Side
	By       store.Act                     // noted in the trails of both when all is done; without a call nothing is
	Room     func(from, to Store) error    // tells whether the target has room, before a copy begins; nil: nobody asks
	Patience time.Duration                 // for the leases of daemons that were killed; 0: 25 s
	Waits    func(Wait)                    // is told at once when others are waited for; nil: nobody is
	Batch    int                           // records of a commit; 0: 5,000
	Show     func(phase Phase, p Progress) // sees how far it is, often; nil: nobody looks
	Now      func() time.Time              // nil: time.Now
}

// Phase is what a copy is at.
type Phase string

// The phases, one after the other.
const (
	Copying   Phase = "copying"
	Auditing  Phase = "counting every delivery again"
	Comparing Phase = "comparing both sides"
)

// Progress is how far a phase is.
type Progress struct {
	Records, Events, Deliveries, Attempts, Bytes int64 // bytes of bodies, packed
	Total                                        int64 // deliveries that there are; 0: not known
}

// Wait says for whom a copy waits.
type Wait struct {
	Side    string   // on which they work
	Daemons []string // by their names
	Most    time.Duration
}

// Report says what a copy did.
type Report struct {
	Progress
	Resumed bool
	Audited int // destinations whose counters agree with what was counted again, on both sides
}

const batchBytes = 4 << 20

// Run copies all of a store to an empty one, or goes on with a copy that was interrupted. When it
// returns without an error, an audit of both sides balances, every record was read back and
// compared, and a daemon may work on the target. No daemon may work on the source any more.
func Run(ctx context.Context, o Options) (rep Report, err error) {
	if o.Patience == 0 {
		o.Patience = 25 * time.Second
	}
	if o.Batch == 0 {
		o.Batch = 5000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Waits == nil {
		o.Waits = func(Wait) {}
	}
	if o.Show == nil {
		o.Show = func(Phase, Progress) {}
	}
	from, err := o.From.Open(ctx)
	if err != nil {
		return rep, fmt.Errorf("open %s: %w", o.From.Name, err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := o.To.Open(ctx)
	if err != nil {
		return rep, fmt.Errorf("open %s: %w", o.To.Name, err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	// A daemon first joins and then looks for a mark, so that one of both finds the other.
	if err := o.alone(ctx, from, to, o.Patience); err != nil {
		return rep, err
	}
	mark, whole, err := o.begin(ctx, from, to, &rep)
	if err != nil {
		return rep, err
	}
	if err := o.alone(ctx, from, to, 0); err != nil {
		if !rep.Resumed {
			err = errors.Join(err, to.Delete(ctx, MarkName), from.Delete(ctx, MarkName))
		}
		return rep, err
	}
	if whole {
		rep.Progress = mark.Done
		return rep, o.end(ctx, from, to)
	}
	if err := o.copy(ctx, from, to, mark); err != nil {
		return rep, err
	}
	rep.Progress = mark.Done
	// What the target knows in memory is that of an empty store: it learns of what is stored.
	if err := to.Close(); err != nil {
		return rep, err
	}
	if to, err = o.To.Open(ctx); err != nil {
		return rep, fmt.Errorf("open %s again: %w", o.To.Name, err)
	}
	if rep.Audited, err = o.audit(ctx, from, to); err != nil {
		return rep, err
	}
	if err := o.compare(ctx, from, to, mark.Done); err != nil {
		return rep, err
	}
	return rep, o.end(ctx, from, to)
}

// alone waits until no daemon works on either side. The embedded store is locked.
func (o *Options) alone(ctx context.Context, from, to Store, patience time.Duration) error {
	for i, s := range [...]Store{from, to} {
		shared, ok := s.(store.Shared)
		if !ok {
			continue
		}
		side := [...]string{o.From.Name, o.To.Name}[i]
		told := patience == 0
		for until := time.Now().Add(patience); ; {
			others, err := othersOn(ctx, shared)
			if err != nil {
				return err
			}
			if len(others) == 0 {
				break
			}
			if !told {
				told = true
				o.Waits(Wait{Side: side, Daemons: others, Most: patience})
			}
			if time.Now().After(until) {
				return fmt.Errorf("a daemon works on %s: stop all that do (%s)", side, strings.Join(others, ", "))
			}
			select {
			case <-time.After(300 * time.Millisecond):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// othersOn names the daemons that work on a store beside this process.
func othersOn(ctx context.Context, s store.Shared) (names []string, err error) {
	all, err := s.Daemons(ctx)
	for _, d := range all {
		if d.Alive && !d.Self {
			names = append(names, cmp.Or(d.Name, d.ID))
		}
	}
	return names, err
}

// begin decides whether a copy begins or goes on, and returns the mark of the target. A copy that was
// interrupted when everything had been compared is whole.
func (o *Options) begin(ctx context.Context, from, to Store, rep *Report) (m *Mark, whole bool, err error) {
	source, err := readMark(ctx, from)
	if err != nil {
		return nil, false, err
	}
	target, err := readMark(ctx, to)
	if err != nil {
		return nil, false, err
	}
	switch {
	case source != nil && !source.Source:
		return nil, false, fmt.Errorf("copy from %s: %w", o.From.Name, source.refusal())
	case target != nil && (target.Source || source == nil || source.ID != target.ID):
		return nil, false, fmt.Errorf("copy to %s, of something else: %w", o.To.Name, target.refusal())
	case target != nil:
		rep.Resumed = true
		return target, !source.Ended.IsZero(), nil
	}
	if source != nil && !source.Ended.IsZero() {
		return nil, false, fmt.Errorf("%s: %w", o.From.Name, source.refusal())
	}
	if used, err := inUse(ctx, to); err != nil {
		return nil, false, err
	} else if used != "" {
		return nil, false, fmt.Errorf("%s is not empty, it has %s: name an empty database, or a folder that does not exist", o.To.Name, used)
	}
	if o.Room != nil {
		if err := o.Room(from, to); err != nil {
			return nil, false, err
		}
	}
	at := Mark{ID: rand.Text(), Source: true, Peer: o.To.Name, Begun: o.Now().UTC()}
	if err := from.Put(ctx, MarkName, at.encode()); err != nil {
		return nil, false, fmt.Errorf("mark %s: %w", o.From.Name, err)
	}
	at.Source, at.Peer = false, o.From.Name
	if err := to.Put(ctx, MarkName, at.encode()); err != nil {
		return nil, false, fmt.Errorf("mark %s: %w", o.To.Name, err)
	}
	return &at, false, nil
}

// errUsed ends the look for a first record.
var errUsed = errors.New("in use")

// inUse says what a store has, "" when it is empty.
func inUse(ctx context.Context, s Store) (what string, err error) {
	err = s.Export(ctx, Place{}, func(r Record) error {
		switch r := r.(type) {
		case *Kept:
			if r.Newest.Time().UnixMilli() <= 0 && r.NextDestination <= 1 {
				return nil
			}
			what = "had events or destinations"
		case *Destination:
			what = "destinations"
		case *Settings, *Value, *Document:
			what = "settings or values"
		case *Act:
			what = "acts in its trail"
		default:
			what = "events or what is left of them"
		}
		return errUsed
	})
	if errors.Is(err, errUsed) {
		err = nil
	}
	return what, err
}

// batch is what goes to the target in one commit.
type batch struct {
	records []Record
	bytes   int
	done    Progress
	place   Place
}

// copy reads ahead by a few batches.
func (o *Options) copy(ctx context.Context, from, to Store, mark *Mark) error {
	mark.Done.Total = total(ctx, from)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches := make(chan batch, 2)
	read := make(chan error, 1)
	done, place := mark.Done, mark.Place
	go func() {
		defer close(batches)
		b := batch{done: done}
		flush := func() error {
			select {
			case batches <- b:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			b = batch{done: b.done}
			return nil
		}
		err := from.Export(ctx, place, func(r Record) error {
			b.records = append(b.records, r)
			b.bytes += b.done.count(r)
			b.place = r.Place()
			if b.bytes >= batchBytes || len(b.records) >= o.Batch {
				return flush()
			}
			return nil
		})
		if err == nil && len(b.records) > 0 {
			err = flush()
		}
		read <- err
	}()
	for b := range batches {
		mark.Done, mark.Place = b.done, b.place
		if err := to.Import(ctx, b.records, mark.encode()); err != nil {
			cancel(err)
			for range batches { // the reader ends
			}
			return fmt.Errorf("write to %s: %w", o.To.Name, err)
		}
		o.Show(Copying, mark.Done)
	}
	if err := <-read; err != nil {
		return fmt.Errorf("read %s: %w", o.From.Name, err)
	}
	return nil
}

// count adds a record, and returns about how much memory it takes.
func (p *Progress) count(r Record) int {
	p.Records++
	switch r := r.(type) {
	case *Event:
		if r.Row != nil && r.Day == r.ID.Day() {
			p.Events++
		}
		n := 512 + len(r.Body)
		for i := range r.Deliveries {
			p.Deliveries++
			p.Attempts += int64(len(r.Deliveries[i].Log))
			n += 256 + 512*len(r.Deliveries[i].Log)
		}
		p.Bytes += int64(len(r.Body))
		return n
	case *Value:
		return 128 + len(r.Value)
	case *Settings:
		return 128 + len(r.Sealed)
	case *Document:
		return 256 + len(r.Text)
	}
	return 512
}

// total is how many deliveries the counters know of.
func total(ctx context.Context, s Store) (n int64) {
	ds, err := s.Destinations(ctx)
	if err != nil {
		return 0
	}
	for _, d := range ds {
		n += s.Counts(d.ID).Accepted
	}
	return n
}

// end takes the mark off the target, last of all. Whatever it is interrupted by, a daemon may work
// on one side at the most.
func (o *Options) end(ctx context.Context, from, to Store) error {
	source, err := readMark(ctx, from)
	if err != nil {
		return err
	}
	if source.Ended.IsZero() {
		source.Ended = o.Now().UTC()
		if err := from.Put(ctx, MarkName, source.encode()); err != nil {
			return fmt.Errorf("mark %s: %w", o.From.Name, err)
		}
		if err := o.note(ctx, from); err != nil {
			return err
		}
	}
	if err := o.note(ctx, to); err != nil {
		return err
	}
	return to.Delete(ctx, MarkName)
}

func (o *Options) note(ctx context.Context, s Store) error {
	if o.By.Call == "" {
		return nil
	}
	return s.Note(ctx, o.Now(), []store.Act{o.By})
}
