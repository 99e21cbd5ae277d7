package objectkey

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Bucket is what [Place] needs of object storage to store one object. Each call is
// one request. Its errors are classified and say what to do.
type Bucket interface {
	// PutIf stores the object under key if what lies there is version, as Stat
	// returned it; "": if nothing does.
	PutIf(ctx context.Context, key, version string) (Answer, error)
	// Put stores the object under key, over whatever lies there. taken says that
	// something does: the right to store is known, and a refusal is about that.
	Put(ctx context.Context, key string, taken bool) error
	// Stat looks at what lies under key.
	Stat(ctx context.Context, key string) (version string, theirs Metadata, a Answer, err error)
}

// Answer is what a bucket says.
type Answer int

const (
	Failed      Answer = iota // as the error says
	OK                        // the error is nil
	Occupied                  // of PutIf: something else lies there
	Folder                    // of PutIf: others lie below the key, and the service cannot hold both
	Busy                      // of PutIf: somebody writes there at this moment
	Missing                   // nothing lies there
	Denied                    // of Stat: reading is denied, as the error says
	Unsupported               // of PutIf: the service knows no conditions
)

// Outcome is what became of an object.
type Outcome int

const (
	Stored        Outcome = iota
	Left                  // it, or a newer one of the same identity, is there already
	Apart                 // stored under the key with its suffix, since what holds the plain one may not be read
	Unread                // stored over one of the same identity that may not be read
	Unconditional         // stored without a condition, which the service does not know
	outcomes
)

// String words it for the log.
func (o Outcome) String() string {
	return [...]string{
		"stored", "there already or newer",
		"stored under the key with the item's suffix: the plain one is taken, and reading what lies there is denied",
		"stored, but reading is denied: a newer version of the item may have been replaced",
		"stored without a condition, which the service does not know: a newer object may have been replaced",
	}[o]
}

// unguarded tells whether an older event may have got before a newer one.
func (o Outcome) unguarded() bool { return o > Left }

// ErrUnconditional is why `stale: fail` holds a destination.
var ErrUnconditional = errors.New("the service knows no conditional writes: set stale: overwrite, with which an older version of an item may replace a newer one in a race, or use another service")

// rounds is how often an object may lose a race for one key.
const rounds = 5

// Place stores o under the first of its keys that is free, or holds an older
// version of the same, and never over anything unrelated. The first put needs no
// right to read, and is enough for every new key. Whoever finds the key taken
// compares what lies there and replaces exactly that, or begins anew, so that of
// two writers at once the newer wins.
//
// Where reading is denied, what holds a key cannot be known: the next key is
// tried, up to the one that only the same identity can hold. Over that an older
// version may go, unless strict, which is `stale: fail`.
func Place(ctx context.Context, b Bucket, o Object, strict bool) (Outcome, error) {
	p := placing{bucket: b, meta: o.Meta, strict: strict}
	for i, key := range o.Keys {
		p.own = i >= o.Own
		how, err := p.at(ctx, key)
		if err != nil || how != next {
			return how, err
		}
	}
	return 0, destination.Reject(fmt.Errorf("store %s: all keys that it may have are taken by others", o.Keys[0]))
}

// next: the key is another's, or may be.
const next = outcomes

// placing is one object on its way.
type placing struct {
	bucket Bucket
	meta   Metadata
	strict bool
	own    bool // only the same identity can hold the key
	unread bool // a key was left since it could not be read
}

func (p *placing) at(ctx context.Context, key string) (Outcome, error) {
	taken := false
	for range rounds {
		if !taken {
			a, err := p.bucket.PutIf(ctx, key, "")
			switch a {
			case OK:
				return p.stored(), nil
			case Busy:
				continue
			case Unsupported:
				return p.unconditionally(ctx, key)
			case Occupied:
				taken = true
			case Folder:
				return next, nil
			default:
				return 0, err
			}
		}
		version, theirs, a, err := p.bucket.Stat(ctx, key)
		switch a {
		case OK:
		case Missing: // deleted meanwhile
			taken = false
			continue
		case Denied:
			return p.unseen(ctx, key, err)
		default:
			return 0, err
		}
		switch p.meta.Against(theirs) {
		case Leave:
			return Left, nil
		case Next:
			return next, nil
		}
		a, err = p.bucket.PutIf(ctx, key, version)
		switch a {
		case OK:
			return p.stored(), nil
		case Occupied, Busy: // somebody was faster
		case Missing:
			taken = false
		case Unsupported:
			return p.unconditionally(ctx, key)
		default:
			return 0, err
		}
	}
	return 0, fmt.Errorf("store %s: others wrote it first, %d times in a row", key, rounds)
}

func (p *placing) stored() Outcome {
	if p.unread {
		return Apart
	}
	return Stored
}

// unseen is for a key that is taken by what may not be read.
func (p *placing) unseen(ctx context.Context, key string, denied error) (Outcome, error) {
	if p.strict {
		return 0, destination.Misconfigure(fmt.Errorf("the key is taken, and stale: fail replaces nothing that it cannot read: %w", denied))
	}
	if !p.own {
		p.unread = true
		return next, nil
	}
	return Unread, p.bucket.Put(ctx, key, true)
}

// unconditionally is for services without conditional writes: it looks first, as
// far as it may, and hopes that nobody else writes in between.
func (p *placing) unconditionally(ctx context.Context, key string) (Outcome, error) {
	if p.strict {
		return 0, destination.Misconfigure(fmt.Errorf("store %s: %w", key, ErrUnconditional))
	}
	_, theirs, a, err := p.bucket.Stat(ctx, key)
	switch a {
	case Missing:
	case Denied:
		if !p.own {
			p.unread = true
			return next, nil
		}
	case OK:
		switch p.meta.Against(theirs) {
		case Leave:
			return Left, nil
		case Next:
			return next, nil
		}
	default:
		return 0, err
	}
	return Unconditional, p.bucket.Put(ctx, key, a == OK)
}
