package sqs

import (
	"context"
	"net/http"

	api "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Check looks at the queue, sends a batch of nothing, which SQS refuses for
// being empty after it has looked at the right to send, and asks the bucket of
// the destination's own.
func (s *sender) Check(ctx context.Context) error {
	url, err := s.queue.resolve(ctx, s.client)
	if err != nil {
		return s.notFound(err)
	}
	_, err = s.client.SendMessageBatch(ctx, &api.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{}})
	if err != nil && !empty(code(err)) {
		return s.fault("send to the queue", "sqs:SendMessage", err)
	}
	_, err = s.client.GetQueueAttributes(ctx, &api.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil {
		return s.fault("look at the queue, which only the check does", "sqs:GetQueueAttributes", err)
	}
	if c, ok := s.payloads.(destination.Checker); ok && s.own {
		return c.Check(ctx)
	}
	return nil
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
