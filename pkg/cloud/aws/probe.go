package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// ProbeName is the name of the object that checks write, below the folder of all
// keys. No delivery has it: those have a time or an id.
const ProbeName = "fantail-check.json"

// probe is what it holds. Its form must not change: a check that may not remove
// it leaves it to the next one.
var probe = []byte(`{"about":"Fantail checks whether it may store objects here. This one may be removed."}` + "\n")

// Probe writes an object, reads it back and removes it.
type Probe struct {
	Client *s3.Client
	Writer *Writer
	In     s3.PutObjectInput // as deliveries have it, under the key of the probe
	// Get returns what lies there, and in which version, "" in a bucket without any,
	// with the rights of whoever will read objects.
	Get func(context.Context) (body []byte, version string, err error)
}

// Seen is what a probe has seen of a bucket that takes objects.
type Seen struct {
	Unconditional bool  // the service knows no conditions, or says so by storing what one forbids
	Unreadable    error // reading is denied, in the words of the service; nil: what was stored came back
	Unremovable   bool  // the probe stays
}

var (
	errAltered = errors.New("what was stored comes back as something else: the endpoint leads to no object storage, or to one that alters objects")
	errGone    = errors.New("what was stored is not there when it is read: the endpoint leads to no object storage, or to one that is not yet consistent")
)

// Run returns what it has seen, or what is in the way of deliveries: an error of
// the put, of the get, or one of its own, which is classified.
func (p Probe) Run(ctx context.Context) (s Seen, reading bool, err error) {
	why := errGone
	for range rounds {
		version, mine, err := p.put(ctx, &s, errors.Is(why, errAltered))
		if err != nil {
			return s, false, err
		}
		body, read, err := p.Get(ctx)
		switch {
		case Status(err) == http.StatusForbidden:
			s.Unreadable = err
		case Status(err) == http.StatusNotFound && Code(err) != "NoSuchBucket": // another check removed it just now
			why = errGone
			continue
		case err != nil:
			return s, true, err
		case !bytes.Equal(body, probe): // perhaps left by an older version: put ours over it
			why = errAltered
			continue
		default:
			version, mine = read, true
		}
		s.Unremovable = !mine || !p.remove(ctx, version)
		return s, false, nil
	}
	return s, true, destination.Misconfigure(fmt.Errorf("check %s: %w", *p.In.Key, why))
}

// put stores the probe, unless it is there; over: in any case. Only if it is mine
// the version is known.
func (p Probe) put(ctx context.Context, s *Seen, over bool) (version string, mine bool, err error) {
	content := NewContent(probe)
	conditional := p.In
	conditional.IfNoneMatch = ptr("*")
	if !over {
		version, err = p.Writer.Put(ctx, conditional, content)
		s.Unconditional = s.Unconditional || errors.Is(err, ErrUnconditional)
	}
	switch {
	case over, s.Unconditional:
		version, err = p.Writer.Put(ctx, p.In, content)
		return version, true, err
	case Status(err) == http.StatusPreconditionFailed, Status(err) == http.StatusConflict: // of an earlier check, or one beside this
		return "", false, nil
	case err != nil:
		return "", false, err
	}
	// It is there now: a service that stores it again ignores conditions.
	if again, err := p.Writer.Put(ctx, conditional, content); err == nil {
		s.Unconditional, version = true, again
	}
	return version, true, nil
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

// Read returns the body of an object and its version, "" if it has none.
func Read(ctx context.Context, client *s3.Client, in *s3.GetObjectInput) (body []byte, version string, err error) {
	out, err := client.GetObject(ctx, in)
	if err != nil {
		return nil, "", err
	}
	defer out.Body.Close() //nolint:errcheck // only read
	if out.VersionId != nil {
		version = *out.VersionId
	}
	body, err = io.ReadAll(out.Body)
	return body, version, err
}
