package sqs

import (
	"context"
	"errors"
	"mime"
	"regexp"
	"strings"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// sending is what a request with messages is about, for faults.
const sending = "send to the queue"

// refused classifies what came instead of "sent" for m.
func (s *sender) refused(m *message, err error) error {
	return s.judge(sending, "sqs:SendMessage", err, m.own() > typical)
}

// typical is what a message that is as small as they come has beside its link, in
// bytes. A queue that finds it too long finds every one too long.
const typical = 1 << 10

// notFound classifies why a queue that is named has no URL.
func (s *sender) notFound(err error) error { return s.fault("find the queue", "sqs:GetQueueUrl", err) }

// fault classifies an error of SQS, met doing what, which needs the permission.
func (s *sender) fault(what, permission string, err error) error {
	return s.judge(what, permission, err, false)
}

// judge is fault for a message that the event may have made too long.
func (s *sender) judge(what, permission string, err error, long bool) error {
	m, ok := meaningOf(code(err), aws.Message(err))
	status := aws.Status(err)
	switch {
	case ok:
	case status == 0 || aws.NoCredentials(err) || interrupted(err):
		return s.session.Classify(what, err)
	default:
		m = ofStatus(status, isJSON(err), aws.Header(err, "Retry-After") != "")
		if status < 300 { // what it answered is no refusal
			what += ": " + notSQS(err)
		}
	}
	if m.size && long {
		m.class, m.advice = destination.Rejected, ""
	}
	if m.advice == noQueue {
		s.queue.forget()
	}
	if m.advice != "" {
		what += " (" + s.fill(m.advice, permission, aws.Message(err)) + ")"
	}
	return s.session.Fail(m.class, what, err)
}

// fill puts what is known into an advice.
func (s *sender) fill(advice, permission, answer string) string {
	return strings.NewReplacer("{queue}", s.queue.name, "{url}", s.queue.String(), "{arn}", s.queue.arn(), "{right}", permission, "{who}", s.who(answer)).Replace(advice)
}

// What advice shows of an answer has a form in which none of our secrets fits: a
// signature has 64 characters, a session's token hundreds.
var (
	userOf   = regexp.MustCompile(`User: (arn:aws[a-z-]*:iam::\d{12}:(?:user|role)/[\w+=,.@/-]{1,60}) is not authorized`)
	kindForm = regexp.MustCompile(`^[a-z]{1,20}/[a-z0-9.+-]{1,40}$`)
)

// who is whom a policy has to name as its principal: a role rather than one of its
// sessions, which have other names tomorrow.
func (s *sender) who(answer string) string {
	if s.role != "" {
		return s.role
	}
	if found := userOf.FindStringSubmatch(answer); found != nil {
		return found[1]
	}
	return "the ARN of who the key or the role belongs to"
}

// interrupted tells whether the attempt ended while the answer was read.
func interrupted(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// unread is the error of an answer that was understood and says nothing.
func unread(answer middleware.Metadata) error {
	none := errors.New("the answer says nothing of what was asked")
	if r, ok := awsmiddleware.GetRawResponse(answer).(*smithyhttp.Response); ok && r != nil && r.Response != nil {
		return &smithyhttp.ResponseError{Response: r, Err: none}
	}
	return none
}

// notSQS words a success that is none of SQS's.
func notSQS(err error) string {
	if isJSON(err) {
		return "the answer is not what SQS promises"
	}
	return "the answer is not SQS's: its Content-Type is " + contentType(err)
}

func isJSON(err error) bool { return strings.Contains(contentType(err), "json") }

// contentType is the media type of an answer, fit to show.
func contentType(err error) string {
	kind, _, wrong := mime.ParseMediaType(aws.Header(err, "Content-Type"))
	if wrong != nil || !kindForm.MatchString(kind) {
		return "unknown"
	}
	return kind
}

// code is that of an answer of SQS itself; "" for what went wrong before, such
// as a role that could not be assumed, whose codes mean something else.
func code(err error) string {
	if aws.NoCredentials(err) {
		return ""
	}
	return spelled(aws.Code(err))
}

// linksOf returns what nobody may see of the links in messages, which an answer
// may repeat: whoever reads one in the log could read the payload.
func linksOf(messages []*message) (all []string) {
	for _, m := range messages {
		all = append(all, destination.Link{URL: m.link}.Secrets()...)
	}
	return all
}

func denied(code string) bool { return code == "AccessDenied" || code == "NotAuthorized" }
