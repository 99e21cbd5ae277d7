package sqs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	api "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Check looks the queue up, sends it a batch of nothing, which SQS refuses for
// being empty after it has looked at the right to send, and reads its attributes for
// what would stop every message or make every link useless. Then it asks a bucket of
// the destination's own, and makes a link that it throws away.
func (s *sender) Check(ctx context.Context) error {
	url, err := s.queue.resolve(ctx, s.client)
	if err != nil {
		return s.notFound(err)
	}
	if err := s.mayWrite(ctx, url); err != nil {
		return err
	}
	var remarks []string
	err = s.payloads.Check(ctx)
	if r, ok := errors.AsType[destination.Remark](err); ok {
		remarks = append(remarks, string(r))
	} else if err != nil {
		return err
	}
	m, life, err := s.specimen(ctx)
	if err != nil {
		return err
	}
	if life < s.ttl-time.Minute {
		remarks = append(remarks, fmt.Sprintf("links live %v at most, not %v as link_ttl says: what signs them ends before", life, s.ttl))
	}
	seen, err := s.look(ctx, url, m, min(life, s.ttl))
	if err != nil {
		return err
	}
	if remarks = append(seen, remarks...); len(remarks) > 0 {
		return destination.Remark(strings.Join(remarks, "; "))
	}
	return nil
}

// mayWrite sends a batch of nothing.
func (s *sender) mayWrite(ctx context.Context, url *string) error {
	out, err := s.client.SendMessageBatch(ctx, &api.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{}})
	switch {
	case err == nil: // no SQS does
		return s.fault(sending, "sqs:SendMessage", unread(out.ResultMetadata))
	case code(err) == "EmptyBatchRequest":
		return nil
	}
	return s.fault(sending, "sqs:SendMessage", err)
}

// specimen is a message of an ordinary event, and how long a link made now would
// live. No link asks whether its payload is there.
func (s *sender) specimen(ctx context.Context) (*message, time.Duration, error) {
	now := time.Now()
	e := &event.Event{ID: event.NewID(now, 0, 0), Developer: "fantail", Reference: strings.Repeat("0", 36)}
	id := strings.Repeat("0", 36)
	e.Body = []byte(`{"type":"planned_workout","user":{"user_id":"` + id + `","reference_id":"` + id + `"},"data":[]}`)
	e.Envelope, _ = event.Parse(e.Body)
	link, err := s.payloads.Link(ctx, e.Developer, e.ID.String(), s.ttl+time.Second)
	if err != nil {
		return nil, 0, err
	}
	m, err := s.newMessage(0, destination.Delivery{ID: e.ID.String() + "_1", Event: e}, pointTo(e, link.URL, s.ttl), link.URL)
	return m, link.Expires.Sub(now).Truncate(time.Second), err
}

// Explain shows the message that Send would send, without a link: a real one
// would let whoever reads it read the payload.
func (s *sender) Explain(d destination.Delivery) (destination.Explanation, error) {
	x := destination.Explanation{Target: s.queue.String(), Headers: http.Header{}, Body: string(d.Event.Body)}
	if !inline(d.Event) {
		x.Key = s.catalogue.Whole(d.Event).ID
		x.Body = pointTo(d.Event, "(a link to payload "+x.Key+")", s.ttl)
	}
	for name, a := range attributes(d) {
		x.Headers[name] = []string{*a.StringValue}
	}
	if s.queue.fifo() {
		group, dedup := ordered(d)
		x.Headers["MessageGroupId"], x.Headers["MessageDeduplicationId"] = []string{*group}, []string{*dedup}
	}
	return x, nil
}
