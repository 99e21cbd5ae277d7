package sqs

import (
	"crypto/md5" // what SQS tells of a message; nothing is kept secret with it
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	api "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
)

// messageID is the form of SQS's ids; what another service says is not logged, a
// signature of 64 characters least of all.
var messageID = regexp.MustCompile(`^[\w-]{1,60}$`)

// verdict is what an answer says of one message.
type verdict struct {
	id  string // SQS's own of a message that it has
	err error  // why it does not have it, or does not say so
}

// verdicts reads what became of messages, which were sent in one request under
// entryID. A message counts as taken when the answer tells of it once, with an id
// of SQS's and the MD5 of the very body that was sent, as the API reference of
// SendMessageBatch promises. An answer that tells of messages that were not sent is
// no answer to this request, and nothing in it counts.
//
// The SDK's own check is off: it lets pass what has no MD5 at all, fails every
// message of a request for one, and panics at an entry without an Id.
func verdicts(messages []*message, out *api.SendMessageBatchOutput) []verdict {
	told := make([]verdict, len(messages))
	times := make([]int, len(messages))
	strange := false
	tell := func(id *string, v func(m *message) verdict) {
		i, err := strconv.Atoi(text(id))
		if strange = strange || err != nil || i < 0 || i >= len(messages) || entryID(i) != *id; !strange {
			times[i]++
			told[i] = v(messages[i])
		}
	}
	for _, e := range out.Successful {
		tell(e.Id, func(m *message) verdict {
			switch id := text(e.MessageId); {
			case !messageID.MatchString(id):
				return verdict{err: errors.New("the answer has no MessageId")}
			case !strings.EqualFold(text(e.MD5OfMessageBody), md5Of(m.body)):
				return verdict{err: errors.New("the answer's MD5OfMessageBody is not that of the message")}
			default:
				return verdict{id: id}
			}
		})
	}
	for _, e := range out.Failed {
		tell(e.Id, func(*message) verdict {
			if text(e.Code) == "" {
				return verdict{err: errors.New("the answer refuses the message without a code")}
			}
			return verdict{err: aws.Answered(out.ResultMetadata, &smithy.GenericAPIError{Code: text(e.Code), Message: text(e.Message)})}
		})
	}
	for i := range told {
		switch {
		case strange:
			told[i] = verdict{err: errors.New("the answer is about messages that were not sent")}
		case times[i] == 0:
			told[i] = verdict{err: errors.New("the answer does not say what became of the message")}
		case times[i] > 1:
			told[i] = verdict{err: errors.New("the answer says twice what became of the message")}
		}
	}
	return told
}

// entryID is the Id of the i-th message of a request.
func entryID(i int) string { return strconv.Itoa(i) }

func md5Of(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// urlForm is what the URL of a queue may be in an answer; see userOf.
var urlForm = regexp.MustCompile(`^https?://(?:[\w-]{1,60}\.)*[\w-]{1,60}(?::\d{1,5})?(?:/[\w-]{1,60})*/([\w.-]{1,80})$`)

// urlOf returns the URL of an answer to GetQueueUrl, which must be of the queue
// that was asked for: it is sent with every request, and shown.
func (q *queue) urlOf(out *api.GetQueueUrlOutput) (*string, error) {
	if text(out.QueueUrl) == "" {
		return nil, unread(out.ResultMetadata)
	}
	if found := urlForm.FindStringSubmatch(*out.QueueUrl); found == nil || found[1] != q.name {
		return nil, fmt.Errorf("the answer's QueueUrl is not that of a queue named %s", q.name)
	}
	return out.QueueUrl, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
