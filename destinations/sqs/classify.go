package sqs

import (
	"errors"
	"regexp"
	"strings"

	api "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// messageID is the form of SQS's ids; what another service says is not logged.
var messageID = regexp.MustCompile(`^[\w-]{1,100}$`)

// answerTo finds what became of the entry id of a batch.
func answerTo(id string, out *api.SendMessageBatchOutput) (message string, err error) {
	for _, e := range out.Successful {
		if e.Id != nil && *e.Id == id {
			if e.MessageId != nil && messageID.MatchString(*e.MessageId) {
				message = *e.MessageId
			}
			return message, nil
		}
	}
	for _, e := range out.Failed {
		if e.Id != nil && *e.Id == id {
			return "", aws.Answered(out.ResultMetadata, &smithy.GenericAPIError{Code: text(e.Code), Message: text(e.Message)})
		}
	}
	return "", errors.New("the answer does not say what became of the message")
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// tiny is a size below which a queue that finds a message too long would find
// every message too long.
const tiny = 16 << 10

// refused classifies what came instead of "sent" for m.
func (s *sender) refused(m *message, err error) error {
	const what = "send to the queue"
	switch code(err) {
	case "InvalidMessageContents":
		return s.session.Fail(destination.Rejected, what, err)
	case "InvalidParameterValue", "InvalidParameterValueException":
		if !strings.Contains(err.Error(), "must be shorter") {
			break
		}
		if m.size() > tiny {
			return s.session.Fail(destination.Rejected, what, err)
		}
		return s.session.Fail(destination.Misconfigured, what+" (raise the queue's MaximumMessageSize: this message is as small as they come)", err)
	}
	return s.fault(what, "sqs:SendMessage", err)
}

// notFound classifies why a queue that is named has no URL.
func (s *sender) notFound(err error) error { return s.fault("find the queue", "sqs:GetQueueUrl", err) }

// fault classifies an error of SQS, met doing what, which needs the permission.
func (s *sender) fault(what, permission string, err error) error {
	misconfigured := func(advice string) error {
		return s.session.Fail(destination.Misconfigured, what+" ("+advice+")", err)
	}
	switch c := code(err); {
	case c == "QueueDoesNotExist" || strings.HasSuffix(c, "NonExistentQueue"):
		s.queue.forget()
		return misconfigured(s.queue.name + " does not exist: create it, or mend queue, account, region or endpoint; of another account's it is also said when its policy does not let us in")
	case denied(c):
		return misconfigured("grant " + permission + " on " + s.queue.arn() + ", for another account's queue in its policy, too")
	case strings.HasPrefix(strings.ToLower(c), "kms"):
		if strings.Contains(c, "Throttl") {
			return s.session.Fail(destination.Throttled, what, err)
		}
		return misconfigured("the queue's KMS key cannot be used: see that it is enabled, and grant kms:GenerateDataKey and kms:Decrypt on it, for another account's key in its policy, too")
	case strings.HasSuffix(c, "InvalidAddress"):
		return misconfigured("queue is a URL that region or endpoint does not know")
	case strings.HasSuffix(c, "UnsupportedOperation"):
		return misconfigured("this is no queue that messages can be sent to")
	}
	return s.session.Classify(what, err)
}

// code is that of an answer of SQS itself; "" for what went wrong before, such
// as a role that could not be assumed, whose codes mean something else.
func code(err error) string {
	if call, ok := errors.AsType[*smithy.OperationError](err); ok {
		if _, inner := errors.AsType[*smithy.OperationError](call.Err); inner {
			return ""
		}
	}
	return aws.Code(err)
}

// linksOf returns what nobody may see of the links in messages, which an answer
// may repeat: whoever reads one in the log could read the payload.
func linksOf(messages []*message) (all []string) {
	for _, m := range messages {
		all = append(all, destination.Link{URL: m.link}.Secrets()...)
	}
	return all
}

func denied(code string) bool { return code == "AccessDenied" || code == "AccessDeniedException" }

// empty tells whether SQS found nothing wrong with a batch but that it is empty.
func empty(code string) bool { return strings.HasSuffix(code, "EmptyBatchRequest") }
