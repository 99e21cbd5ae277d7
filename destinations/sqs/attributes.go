package sqs

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	api "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// looking is what reading the queue's attributes is about, for faults.
const looking = "look at the queue"

// look reads the queue's attributes and says what they do to messages like m, with
// links that live that long. It asks for all: those of FIFO queues alone may not be
// asked for by name elsewhere.
func (s *sender) look(ctx context.Context, url *string, m *message, life time.Duration) (remarks []string, err error) {
	out, err := s.client.GetQueueAttributes(ctx, &api.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	switch {
	case err != nil && denied(code(err)):
		return []string{"the queue cannot be looked at, which only this check does: grant sqs:GetQueueAttributes on " + s.queue.arn()}, nil
	case err != nil:
		return nil, s.fault(looking, "sqs:GetQueueAttributes", err)
	}
	a := attributeSet(out.Attributes)
	misconfigured := func(format string, args ...any) ([]string, error) {
		return nil, destination.Misconfigure(fmt.Errorf(looking+": "+format, args...))
	}
	owner, ok := s.queue.ownerBy(a["QueueArn"])
	if !ok {
		return nil, s.session.Fail(destination.Misconfigured, looking+" ("+noSQS+")", errors.New("the answer has no QueueArn of a queue named "+s.queue.name))
	}
	if fifo := a["FifoQueue"] == "true"; fifo != s.queue.fifo() {
		return misconfigured("%s, and the queue says FifoQueue %v", otherFor, fifo)
	}
	key := a["KmsMasterKeyId"]
	if mine := accountOf(s.role); strings.HasSuffix(key, ownKey) && mine != "" && owner != mine {
		return misconfigured("it is encrypted with %s, which only its own account may use, and %s is of another: give it a KMS key that lets the role in, or SSE-SQS (aws sqs set-queue-attributes --queue-url %s --attributes KmsMasterKeyId=,SqsManagedSseEnabled=true)",
			ownKey, s.role, *url)
	}
	most, sized := a.number("MaximumMessageSize")
	if sized && m.size() > most {
		return misconfigured("it takes messages of %d bytes at the most, and a pointer has %d: %s", most, m.size(), s.fill(longer, "", ""))
	}
	if sized && most-m.size() < roomy {
		remarks = append(remarks, fmt.Sprintf("the queue's MaximumMessageSize is %d and a pointer has about %d bytes: one with long ids is rejected", most, m.size()))
	}
	if key != "" {
		if !keyForm.MatchString(key) {
			key = "it names"
		}
		remarks = append(remarks, fmt.Sprintf("the queue is encrypted with the KMS key %s: only a delivery shows whether kms:GenerateDataKey and kms:Decrypt are granted on it", key))
	}
	if delay := a.seconds("DelaySeconds"); delay >= life {
		remarks = append(remarks, fmt.Sprintf("the queue's DelaySeconds of %v outlive every link (%v): lower them, or raise link_ttl", delay, life))
	}
	if hidden := a.seconds("VisibilityTimeout"); hidden >= life {
		remarks = append(remarks, fmt.Sprintf("the queue's VisibilityTimeout of %v outlives every link (%v): what a consumer fails to handle comes back without one; lower it, or raise link_ttl", hidden, life))
	}
	return remarks, nil
}

const (
	// ownKey is the key that AWS keeps for SQS in each account. Its policy, which
	// nobody can change, lets that account in alone.
	ownKey = "alias/aws/sqs"
	// roomy is what ids may add to a message before the queue's limit is worth a remark.
	roomy = 4 << 10
)

// keyForm is what is shown of a key; see userOf.
var keyForm = regexp.MustCompile(`^(?:arn:aws[a-z-]*:kms:[a-z0-9-]{1,30}:\d{12}:)?(?:key/|alias/)?[\w/-]{1,50}$`)

// attributeSet is what a queue says of itself.
type attributeSet map[string]string

func (a attributeSet) number(name string) (int, bool) {
	n, err := strconv.Atoi(a[name])
	return n, err == nil && n >= 0
}

// seconds is 0 where there is no such attribute.
func (a attributeSet) seconds(name string) time.Duration {
	n, _ := a.number(name)
	return time.Duration(min(n, 1<<31)) * time.Second
}

// ownerBy returns the account in the ARN of the queue; ok tells whether it is one of
// this queue's.
func (q *queue) ownerBy(arn string) (account string, ok bool) {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || parts[5] != q.name { // the first parts are the provider's
		return "", false
	}
	return parts[4], true
}

// accountOf returns the account of a role's ARN, "" of none.
func accountOf(role string) string {
	if parts := strings.Split(role, ":"); len(parts) > 4 {
		return parts[4]
	}
	return ""
}
