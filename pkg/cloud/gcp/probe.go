package gcp

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/cloud/probe"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
)

// Seen is what a probe has seen of a bucket that takes objects.
type Seen struct {
	Unreadable  error // reading is denied; nil: what was stored came back
	Unremovable bool  // the probe stays
}

// probes is how often a check puts its probe anew, when another check has removed
// it just now.
const (
	probes   = 20
	probeTTL = time.Minute
)

// Probe writes an object as o has it, reads it back with get and removes it. Its
// body is the probe's.
func (c *Client) Probe(ctx context.Context, o Object, get func(context.Context) ([]byte, error)) (s Seen, err error) {
	o.Body, o.Encoding = probe.Body(), ""
	generation, why := Absent, "what was stored is not there when it is read"
	for range probes {
		_, err := c.Put(ctx, o, generation)
		if generation == Always && Denied(err) { // it may not be replaced
			break
		}
		if err != nil && !Occupied(err) {
			return s, err
		}
		body, err := get(ctx)
		switch {
		case StatusOf(err) == http.StatusNotFound:
			generation, why = Absent, "what was stored is not there when it is read"
			continue
		case Denied(err):
			s.Unreadable = err
		case err != nil:
			return s, err
		case !probe.Is(body): // perhaps left by an older version: put ours over it
			generation, why = Always, "what was stored comes back as something else"
			continue
		}
		err = c.Delete(ctx, o.Bucket, o.Name)
		s.Unremovable = err != nil && StatusOf(err) != http.StatusNotFound // another check has removed it
		return s, nil
	}
	return s, destination.Misconfigure(&Error{Safe: fault.Safe{Text: "check " + o.Name + " in gs://" + o.Bucket + ": " + why +
		". What answers there is no Cloud Storage: mend the setting endpoint"}})
}

// Check stores a probe, reads it over a link as consumers do, and removes it where
// the credentials may.
func (b *Bucket) Check(ctx context.Context) error {
	o := Object{Bucket: b.bucket, Name: b.prefix + probe.Name, KMSKey: b.kmsKey}
	seen, err := b.client.Probe(ctx, o, func(ctx context.Context) ([]byte, error) { return b.client.follow(ctx, b.bucket, o.Name) })
	if err == nil && seen.Unreadable != nil {
		err = destination.Misconfigure(&Error{Status: http.StatusForbidden, Safe: fault.Safe{Text: seen.Unreadable.Error() +
			". Grant roles/storage.objectViewer on gs://" + b.bucket + " to " + b.client.who + ": links need it"}})
	}
	return err
}

// follow gets an object over a link, as consumers do.
func (c *Client) follow(ctx context.Context, bucket, name string) ([]byte, error) {
	const doing = "read the check's object over a link"
	link, err := c.Link(ctx, bucket, name, probeTTL)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link.URL, nil)
	if err != nil {
		return nil, errors.New(doing + ": the link is no URL")
	}
	x := &exchange{secrets: link.Secrets()}
	if err := x.do(c.transport, req); err != nil {
		return nil, x.unreached(ctx, doing, err)
	}
	switch x.code {
	case http.StatusOK:
		return x.body, nil
	case http.StatusForbidden:
		return nil, destination.Misconfigure(&Error{Status: x.code, Safe: fault.Safe{Text: doing + ": answered 403 Forbidden"}})
	}
	return nil, x.refusal(doing, bucket, c.who)
}
