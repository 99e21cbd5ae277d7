// Package sqs sends events to queues of Amazon SQS: each as a pointer to its
// payload in object storage, or whole where that is what consumers expect.
package sqs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	api "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/seed-51f8da91/fantail/destinations/internal/ownbucket"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fanout"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

var (
	_ destination.Destination  = (*sender)(nil)
	_ destination.Batcher      = (*sender)(nil)
	_ destination.Checker      = (*sender)(nil)
	_ destination.Explainer    = (*sender)(nil)
	_ destination.Ambienter    = Config{}
	_ destination.PayloadOwner = Config{}
)

type sender struct {
	session   *aws.Session
	client    *api.Client
	queue     *queue
	payloads  *ownbucket.Store
	catalogue *event.Catalogue
	ttl       time.Duration
	role      string // that is assumed; "": none
}

func open(c Config, deps destination.Deps) (destination.Destination, error) {
	q, err := parseQueue(c)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	session, err := aws.Open(c.Settings, deps)
	if err != nil {
		return nil, err
	}
	q.region = session.Config.Region
	s := &sender{session: session, queue: q, catalogue: deps.Catalogue, ttl: c.LinkTTL, role: c.RoleARN}
	s.client = api.NewFromConfig(session.Config, func(o *api.Options) { o.DisableMessageChecksumValidation = true }) // see verdicts
	if s.payloads, err = c.payloads().Open(deps); err != nil {
		_ = session.Close()
		return nil, err
	}
	return s, nil
}

// Send makes one attempt.
func (s *sender) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	r := s.SendBatch(ctx, []destination.Delivery{d})[0]
	return r.Receipt, r.Err
}

// MaxBatch is SQS's own limit.
func (s *sender) MaxBatch() int { return maxBatch }

// SendBatch puts the payloads, then sends the messages in as few requests as
// the limits of SQS allow. Links are made last, so that they lose no time of
// their lives.
func (s *sender) SendBatch(ctx context.Context, ds []destination.Delivery) []destination.Result {
	results := make([]destination.Result, len(ds))
	traced, call := s.session.Begin(ctx)
	url, err := s.queue.resolve(traced, s.client)
	if err != nil {
		fault := s.notFound(err)
		for i := range results {
			results[i] = destination.Result{Receipt: call.Receipt(fault), Err: fault}
		}
		return results
	}
	ids := s.put(ctx, ds, results)
	var messages []*message
	for i, d := range ds {
		if results[i].Err != nil {
			continue
		}
		var m *message
		if err := destination.Guard(func() (err error) { m, err = s.compose(ctx, i, d, ids[i]); return err }); err != nil {
			results[i].Err = err
			continue
		}
		messages = append(messages, m)
	}
	for _, part := range split(messages) {
		s.post(ctx, url, part, results)
	}
	return results
}

// put stores the payloads of all deliveries that need one, notes what fails and
// returns their ids.
func (s *sender) put(ctx context.Context, ds []destination.Delivery, results []destination.Result) (ids []string) {
	ids = make([]string, len(ds))
	linked := func(yield func(int) bool) {
		for i := range ds {
			if !inline(ds[i].Event) && !yield(i) {
				return
			}
		}
	}
	fanout.Each(linked, fanout.Order[int]{Width: fanout.Width}, func(i int) (string, error) {
		p := s.catalogue.Whole(ds[i].Event)
		return p.ID, s.payloads.Put(ctx, ds[i].Event.Developer, p)
	}, func(i int, id string, err error) bool {
		ids[i], results[i].Err = id, err
		return true
	})
	return ids
}

// compose makes the message of a delivery whose payload is stored under id.
func (s *sender) compose(ctx context.Context, at int, d destination.Delivery, id string) (*message, error) {
	e := d.Event
	if inline(e) {
		return s.newMessage(at, d, string(e.Body), "")
	}
	// A link begins with the whole second that is under way, and sending takes a
	// moment, too: a second more keeps what the message says of it true.
	link, err := s.payloads.Link(ctx, e.Developer, id, s.ttl+time.Second)
	if err != nil {
		return nil, err
	}
	life := min(time.Until(link.Expires).Truncate(time.Second), s.ttl)
	if life <= 0 {
		return nil, errors.New("the link would have expired before it was sent: what signs it ends too soon")
	}
	return s.newMessage(at, d, pointTo(e, link.URL, life), link.URL)
}

// post sends messages in one request and settles each.
func (s *sender) post(ctx context.Context, url *string, messages []*message, results []destination.Result) {
	in := &api.SendMessageBatchInput{QueueUrl: url, Entries: make([]types.SendMessageBatchRequestEntry, len(messages))}
	for i, m := range messages {
		id := entryID(i)
		in.Entries[i] = types.SendMessageBatchRequestEntry{
			Id: &id, MessageBody: &m.body, MessageAttributes: m.attributes, MessageGroupId: m.group, MessageDeduplicationId: m.dedup,
		}
	}
	traced, call := s.session.Begin(ctx)
	out, err := s.client.SendMessageBatch(traced, in)
	if err != nil && len(messages) > 1 && forBatch(err) {
		half := len(messages) / 2
		s.post(ctx, url, messages[:half], results)
		s.post(ctx, url, messages[half:], results)
		return
	}
	if err == nil && len(out.Successful)+len(out.Failed) == 0 {
		err = unread(out.ResultMetadata)
	}
	told := make([]verdict, len(messages))
	if err == nil {
		told = verdicts(messages, out)
	}
	for i, m := range messages {
		if failed := cmp.Or(err, told[i].err); failed != nil {
			fault := s.refused(m, aws.Hide(failed, linksOf(messages)...))
			results[m.at] = destination.Result{Receipt: call.Receipt(fault), Err: fault}
			continue
		}
		receipt := call.Receipt(nil)
		receipt.Answer = told[i].id
		results[m.at].Receipt = receipt
	}
}

// forBatch tells whether a request was refused for having several messages: other
// providers' limits are lower than AWS's.
func forBatch(err error) bool {
	switch code(err) {
	case "BatchRequestTooLong", "TooManyEntriesInBatchRequest", "RequestEntityTooLarge":
		return true
	}
	return aws.Status(err) == http.StatusRequestEntityTooLarge && !aws.NoCredentials(err)
}

// String says where the messages go. Together with GoString it keeps
// credentials out of every print of a destination.
func (s *sender) String() string   { return "queue " + s.queue.String() }
func (s *sender) GoString() string { return s.String() }

// Close ends what fetches credentials. The connections are the engine's.
func (s *sender) Close() error {
	return errors.Join(s.session.Close(), s.payloads.Close())
}
