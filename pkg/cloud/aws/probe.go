package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/pkg/cloud/probe"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Probe writes an object, reads it back and removes it.
type Probe struct {
	Client *s3.Client
	Writer *Writer
	In     s3.PutObjectInput // as deliveries have it, under the key of the probe
	// Get returns what lies there with the rights of whoever will read objects.
	Get func(context.Context) (Found, error)
}

// Found is an object as it is read.
type Found struct {
	Body     []byte
	Version  string            // "" in a bucket without any
	Metadata map[string]string // nil: not looked at
}

// Seen is what a probe has seen of a bucket that takes objects.
type Seen struct {
	Unconditional bool  // the service knows no conditions, or says so by storing what one forbids
	Altering      bool  // the service loses or alters metadata
	Unreadable    error // reading is denied, in the words of the service; nil: what was stored came back
	Unremovable   bool  // the probe stays
}

var (
	errAltered = errors.New("what was stored comes back as something else: the endpoint leads to no object storage, or to one that alters objects")
	errGone    = errors.New("what was stored is not there when it is read: the endpoint leads to no object storage, or to one that is not yet consistent")
)

// tries is how often a check puts its probe when it is not there, since others that check the same
// bucket remove it: eight checks at a time may do that many times running.
const tries = 20

// Run returns what it has seen, or what is in the way of deliveries: an error of
// the put, of the get, or one of its own, which is classified.
func (p Probe) Run(ctx context.Context) (s Seen, reading bool, err error) {
	why := errGone
	for range tries {
		version, mine, err := p.put(ctx, &s, errors.Is(why, errAltered))
		if err != nil {
			return s, false, err
		}
		found, err := p.Get(ctx)
		switch {
		case Status(err) == http.StatusForbidden:
			s.Unreadable = err
		case Status(err) == http.StatusNotFound && Code(err) != "NoSuchBucket": // another check removed it just now
			why = errGone
			continue
		case err != nil:
			return s, true, err
		case !probe.Is(found.Body): // perhaps left by an older version: put ours over it
			why = errAltered
			continue
		default: // what an earlier check left may be without metadata
			s.Altering = mine && found.Metadata != nil && !p.kept(found.Metadata)
			version, mine = found.Version, true
		}
		s.Unremovable = !mine || !p.remove(ctx, version)
		return s, false, nil
	}
	return s, true, destination.Misconfigure(fmt.Errorf("check %s: %w", *p.In.Key, why))
}

// kept tells whether the metadata of the probe came back as it was sent.
func (p Probe) kept(theirs map[string]string) bool {
	for name, value := range p.In.Metadata {
		if theirs[name] != value {
			return false
		}
	}
	return true
}

// put stores the probe, unless it is there; over: in any case. Only if it is mine
// the version is known.
func (p Probe) put(ctx context.Context, s *Seen, over bool) (version string, mine bool, err error) {
	content := NewContent(probe.Body())
	conditional := p.In
	conditional.IfNoneMatch = ptr("*")
	var stored Stored
	if !over {
		stored, err = p.Writer.Put(ctx, conditional, content)
		s.Unconditional = s.Unconditional || errors.Is(err, ErrUnconditional)
	}
	switch {
	case over, s.Unconditional:
		stored, err = p.Writer.Put(ctx, p.In, content)
		return stored.Version, true, err
	case Taken(err), Busy(err): // of an earlier check, or one beside this
		return "", false, nil
	case err != nil:
		return "", false, err
	}
	// It is there now: a service that stores it again ignores conditions, unless
	// another check has removed it just now, which does not happen every time.
	stores := 0
	for ; stores < rounds; stores++ {
		again, err := p.Writer.Put(ctx, conditional, content)
		if err != nil {
			break
		}
		stored = again
	}
	s.Unconditional = s.Unconditional || stores == rounds
	// Nor has it this ETag. Whoever may not read may not compare either, which is fine.
	conditional.IfNoneMatch, conditional.IfMatch = nil, ptr(`"00000000000000000000000000000000"`)
	if again, err := p.Writer.Put(ctx, conditional, content); err == nil || errors.Is(err, ErrUnconditional) {
		s.Unconditional = true
		if err == nil {
			stored = again
		}
	}
	return stored.Version, true, nil
}

// remove takes the probe away, where it may. In a bucket with versions it takes
// the version, or every check would add one and a marker over it.
func (p Probe) remove(ctx context.Context, version string) bool {
	in := s3.DeleteObjectInput{Bucket: p.In.Bucket, Key: p.In.Key, ExpectedBucketOwner: p.In.ExpectedBucketOwner}
	if version != "" {
		in.VersionId = &version
	}
	_, err := p.Client.DeleteObject(ctx, &in)
	return err == nil
}

// Read gets an object.
func Read(ctx context.Context, client *s3.Client, in *s3.GetObjectInput) (Found, error) {
	out, err := client.GetObject(ctx, in)
	if err != nil {
		return Found{}, err
	}
	defer out.Body.Close() //nolint:errcheck // only read
	f := Found{Metadata: map[string]string{}}
	for name, value := range out.Metadata {
		f.Metadata[strings.ToLower(name)] = value
	}
	if out.VersionId != nil {
		f.Version = *out.VersionId
	}
	f.Body, err = io.ReadAll(out.Body)
	return f, err
}
