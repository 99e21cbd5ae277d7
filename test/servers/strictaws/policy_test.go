package strictaws

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// TestPoliciesAreJudged as IAM does: within an account one of the two policies is enough, between two
// accounts both have to allow, and a Deny wins.
func TestPoliciesAreJudged(t *testing.T) {
	const other = "999900001111"
	arn := "arn:aws:sqs:eu-central-1:" + Account + ":queue"
	identity := func(effect, action, resource string) string {
		return fmt.Sprintf(`{"Effect":%q,"Action":%q,"Resource":%q}`, effect, action, resource)
	}
	of := func(effect, principal, action string) string {
		return fmt.Sprintf(`{"Effect":%q,"Principal":{"AWS":[%q]},"Action":[%q],"Resource":%q}`, effect, principal, action, arn)
	}
	mine, theirs := AccessKey, "AKIAOTHER"
	send := identity("Allow", "sqs:SendMessage", arn)
	for name, tt := range map[string]struct {
		who      string
		identity []string // statements; nil: no policy, which is everything
		queue    []string
		answer   string // says; "": it is sent
	}{
		"nothing said":                    {mine, nil, nil, ""},
		"granted":                         {mine, []string{send}, nil, ""},
		"granted in small letters":        {mine, []string{identity("Allow", "SQS:sendmessage", arn)}, nil, ""},
		"granted by wildcards":            {mine, []string{identity("Allow", "sqs:Send*", "arn:aws:sqs:*:*:que?e")}, nil, ""},
		"another action":                  {mine, []string{identity("Allow", "sqs:ReceiveMessage", arn)}, nil, "identity-based policy"},
		"another queue":                   {mine, []string{identity("Allow", "sqs:*", arn+"2")}, nil, "identity-based policy"},
		"denied after all":                {mine, []string{identity("Allow", "*", "*"), identity("Deny", "sqs:SendMessage", "*")}, nil, "explicit deny in an identity-based policy"},
		"the queue's policy is enough":    {mine, []string{identity("Allow", "s3:*", "*")}, []string{of("Allow", "arn:aws:iam::"+Account+":root", "sqs:SendMessage")}, ""},
		"the queue denies":                {mine, []string{send}, []string{of("Deny", "*", "sqs:*")}, "explicit deny in a resource-based policy"},
		"another account":                 {theirs, nil, nil, "no resource-based policy"},
		"another account, let in":         {theirs, []string{send}, []string{of("Allow", other, "sqs:SendMessage")}, ""},
		"another account, let in by name": {theirs, nil, []string{of("Allow", "arn:aws:iam::"+other+":user/akiaother", "sqs:SendMessage")}, ""},
		"another account, one of two":     {theirs, []string{identity("Allow", "s3:*", "*")}, []string{of("Allow", other, "sqs:SendMessage")}, "identity-based policy"},
		"somebody else is let in":         {theirs, nil, []string{of("Allow", "arn:aws:iam::"+other+":user/else", "sqs:SendMessage")}, "no resource-based policy"},
	} {
		s := New(t)
		s.AddUser(User{theirs, "secret", other})
		q := Queue{Name: "queue"}
		if tt.queue != nil {
			q.Policy = document(tt.queue...)
		}
		url := s.AddQueue(q)
		if tt.identity != nil {
			s.Grant(tt.who, document(tt.identity...))
		}
		c := newClient(t, s)
		if tt.who == theirs {
			c = c.as(theirs, "secret", "")
		}
		_, err := c.sqs().SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x")})
		if (err == nil) != (tt.answer == "") || err != nil && (answerOf(err) != "403 AccessDenied" || !strings.Contains(err.Error(), tt.answer)) {
			t.Errorf("%s: %v, want %q", name, err, tt.answer)
		}
	}
}

// TestAPolicyThatNobodyKnowsFailsTheTest: otherwise it could allow what the real one does not.
func TestAPolicyThatNobodyKnowsFailsTheTest(t *testing.T) {
	for name, d := range map[string]string{
		"no JSON":              `{`,
		"an old version":       `{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
		"nothing":              document(),
		"an unknown member":    document(`{"Effect":"Allow","NotAction":"*","Resource":"*"}`),
		"no effect":            document(`{"Action":"*","Resource":"*"}`),
		"an unknown condition": document(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`),
		"a principal":          document(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"*","Resource":"*"}`),
	} {
		w := &watcher{TB: t}
		s := New(w)
		url := s.AddQueue(Queue{Name: "queue"})
		s.Grant(AccessKey, d)
		_, _ = newClient(t, s).sqs().SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x")})
		if len(w.complaints()) == 0 {
			t.Errorf("%s passes", name)
		}
	}
}

// TestQueuesHaveTheirAttributes, and keep to them.
func TestQueuesHaveTheirAttributes(t *testing.T) {
	s := New(t)
	const key = "arn:aws:kms:eu-central-1:" + Account + ":key/k"
	q := Queue{Name: "queue.fifo", HighThroughput: true, MaxSize: 1024, Delay: time.Minute, Visibility: time.Hour, KMSKey: key, Policy: document(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"*","Resource":"*"}`)}
	url, c := s.AddQueue(q), newClient(t, s).sqs()
	out, err := c.GetQueueAttributes(context.Background(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId", "MaximumMessageSize": "1024",
		"DelaySeconds": "60", "VisibilityTimeout": "3600", "KmsMasterKeyId": key, "Policy": q.Policy} {
		if out.Attributes[name] != want {
			t.Errorf("%s is %s, want %s", name, out.Attributes[name], want)
		}
	}
	send := func(group, body string) error {
		_, err := c.SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body, MessageGroupId: &group, MessageDeduplicationId: aws.String("d")})
		return err
	}
	want(t, "a group", send("a", "x"), "")
	want(t, "a repeat in it", send("a", "x"), "")
	want(t, "another group", send("b", "x"), "")
	if n := len(s.Messages(url)); n != 2 {
		t.Errorf("%d messages, want one a group", n)
	}
	want(t, "too long for this queue", send("a", strings.Repeat("x", 1025)), "400 InvalidParameterValue")
	s.Deny("kms:Decrypt")
	want(t, "without a right to the key", send("c", "x"), "400 KMS.AccessDeniedException")
}
