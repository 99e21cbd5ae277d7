package strictaws

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

var (
	entryID       = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)
	attributeName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	attributeType = regexp.MustCompile(`^(String|Number|Binary)(\..+)?$`)
	// groupID is what MessageGroupId and MessageDeduplicationId may be: letters, digits, punctuation.
	groupID = regexp.MustCompile(`^[!-~]{1,128}$`)
)

const maxAttributes = 10

func (q *queue) fifo() bool { return strings.HasSuffix(q.Name, ".fifo") }

func invalidParameter(format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, "InvalidParameterValue", "InvalidParameterValueException", fmt.Sprintf(format, args...)}
}

// most is how many bytes a message may have, attributes included.
func (q *queue) most() int { return cmp.Or(q.MaxSize, maxMessage) }

// judge says why a queue does not take a message.
func (q *queue) judge(e entry) *refusal {
	switch {
	case e.MessageBody == "":
		return &refusal{http.StatusBadRequest, "MissingParameter", "MissingParameter", "The request must contain the parameter MessageBody."}
	case e.size() > q.most():
		return invalidParameter("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.most())
	case strings.ContainsFunc(e.MessageBody, forbidden):
		return &refusal{http.StatusBadRequest, "InvalidMessageContents", "", "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"}
	case len(e.MessageAttributes) > maxAttributes:
		return invalidParameter("Number of message attributes [%d] exceeds the allowed maximum [%d].", len(e.MessageAttributes), maxAttributes)
	}
	for name, a := range e.MessageAttributes {
		lower := strings.ToLower(name)
		switch {
		case len(name) > 256 || !attributeName.MatchString(name) || strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
			return invalidParameter("The message attribute name '%s' is invalid.", name)
		case !attributeType.MatchString(a.DataType) || len(a.DataType) > 256:
			return invalidParameter("The type of message (user) attribute '%s' is invalid.", name)
		case strings.HasPrefix(a.DataType, "Binary") == (len(a.BinaryValue) == 0) || strings.HasPrefix(a.DataType, "Binary") == (a.StringValue != ""):
			return invalidParameter("The message attribute '%s' must contain a non-empty value of its type.", name)
		case strings.ContainsFunc(a.StringValue, forbidden):
			return &refusal{http.StatusBadRequest, "InvalidMessageContents", "", "Invalid characters found in attribute " + name + "."}
		}
	}
	return q.judgeOrder(e)
}

// judgeOrder judges what only one kind of queues has.
func (q *queue) judgeOrder(e entry) *refusal {
	if e.MessageGroupId != "" && !groupID.MatchString(e.MessageGroupId) || e.MessageDeduplicationId != "" && !groupID.MatchString(e.MessageDeduplicationId) {
		return invalidParameter("MessageGroupId and MessageDeduplicationId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	}
	switch {
	case !q.fifo() && e.MessageDeduplicationId != "":
		return invalidParameter("The request include parameter that is not valid for this queue type.")
	case !q.fifo():
		return nil // a group id makes the queue fair
	case e.MessageGroupId == "":
		return &refusal{http.StatusBadRequest, "MissingParameter", "MissingParameter", "The request must contain the parameter MessageGroupId."}
	case e.MessageDeduplicationId == "" && !q.ContentDedup:
		return invalidParameter("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	case e.DelaySeconds != 0:
		return invalidParameter("Value %d for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type.", e.DelaySeconds)
	}
	return nil
}

// judgeBatch says why a batch is refused as a whole.
func judgeBatch(entries []entry) *refusal {
	of := func(code, text string) *refusal {
		return &refusal{http.StatusBadRequest, "AWS.SimpleQueueService." + code, code, text}
	}
	if len(entries) == 0 {
		return of("EmptyBatchRequest", "There should be at least one SendMessageBatchRequestEntry in the request.")
	}
	if len(entries) > maxInBatch {
		return of("TooManyEntriesInBatchRequest", fmt.Sprintf("Maximum number of entries per request are %d. You have sent %d.", maxInBatch, len(entries)))
	}
	seen, size := map[string]bool{}, 0
	for _, e := range entries {
		if !entryID.MatchString(e.Id) {
			return of("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if seen[e.Id] {
			return of("BatchEntryIdsNotDistinct", "Id "+e.Id+" repeated.")
		}
		seen[e.Id] = true
		size += e.size()
	}
	if size > maxMessage {
		return of("BatchRequestTooLong", fmt.Sprintf("Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxMessage, size))
	}
	return nil
}

// size is what counts towards the limit: the body, and name, type and value of each attribute.
func (e entry) size() int {
	n := len(e.MessageBody)
	for name, a := range e.MessageAttributes {
		n += len(name) + len(a.DataType) + len(a.StringValue) + len(a.BinaryValue)
	}
	return n
}

func forbidden(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF || r >= 0xD800 && r <= 0xDFFF
}
