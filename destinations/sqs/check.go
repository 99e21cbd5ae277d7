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

// Check looks at the queue and sends a batch of nothing, which SQS refuses for
// being empty after it has looked at the right to send. Then it asks a bucket of
// the destination's own, and makes a link that it throws away.
func (s *sender) Check(ctx context.Context) error {
	url, err := s.queue.resolve(ctx, s.client)
	if err != nil {
		return s.notFound(err)
	}
	_, err = s.client.SendMessageBatch(ctx, &api.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{}})
	if err != nil && !empty(code(err)) {
		return s.fault("send to the queue", "sqs:SendMessage", err)
	}
	var remarks []string
	_, err = s.client.GetQueueAttributes(ctx, &api.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	switch {
	case denied(code(err)):
		remarks = append(remarks, "the queue cannot be looked at, which only this check does: grant sqs:GetQueueAttributes on "+s.queue.arn())
	case err != nil:
		return s.fault("look at the queue", "sqs:GetQueueAttributes", err)
	}
	err = s.payloads.Check(ctx)
	if r, ok := errors.AsType[destination.Remark](err); ok {
		remarks = append(remarks, string(r))
	} else if err != nil {
		return err
	}
	switch life, err := s.linkLife(ctx); {
	case err != nil:
		return err
	case life < s.ttl-time.Minute:
		remarks = append(remarks, fmt.Sprintf("links live %v at most, not %v as link_ttl says: what signs them ends before", life, s.ttl))
	}
	if len(remarks) > 0 {
		return destination.Remark(strings.Join(remarks, "; "))
	}
	return nil
}

// linkLife is how long a link made now would live. No link asks whether its
// payload is there.
func (s *sender) linkLife(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	link, err := s.payloads.Link(ctx, "fantail", event.NewID(now, 0, 0).String(), s.ttl+time.Second)
	if err != nil {
		return 0, err
	}
	return link.Expires.Sub(now).Truncate(time.Second), nil
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
