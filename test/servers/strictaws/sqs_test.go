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

func text(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
}

func attributes(n int) map[string]types.MessageAttributeValue {
	all := map[string]types.MessageAttributeValue{}
	for i := range n {
		all[fmt.Sprint("a", i)] = text("v")
	}
	return all
}

func TestMessagesAreJudged(t *testing.T) {
	s := New(t)
	standard, fifo := s.AddQueue(Queue{Name: "queue"}), s.AddQueue(Queue{Name: "queue.fifo"})
	byContent := s.AddQueue(Queue{Name: "content.fifo", ContentDedup: true})
	c := newClient(t, s).sqs()
	one := map[string]types.MessageAttributeValue{"name": text("value")}
	room := 1<<20 - len("name"+"String"+"value")
	for name, tt := range map[string]struct {
		in     sqs.SendMessageInput
		answer string
	}{
		"good":                          {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("{}\t\r\né😀")}, ""},
		"a full mebibyte":               {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String(strings.Repeat("x", 1<<20))}, ""},
		"a byte more":                   {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String(strings.Repeat("x", 1<<20+1))}, "400 InvalidParameterValue"},
		"attributes count":              {sqs.SendMessageInput{QueueUrl: &standard, MessageAttributes: one, MessageBody: aws.String(strings.Repeat("x", room))}, ""},
		"attributes count to the byte":  {sqs.SendMessageInput{QueueUrl: &standard, MessageAttributes: one, MessageBody: aws.String(strings.Repeat("x", room+1))}, "400 InvalidParameterValue"},
		"empty":                         {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("")}, "400 MissingParameter"},
		"nul":                           {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("a\x00b")}, "400 InvalidMessageContents"},
		"escape":                        {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("a\x1bb")}, "400 InvalidMessageContents"},
		"U+FFFF":                        {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("a\uffffb")}, "400 InvalidMessageContents"},
		"ten attributes":                {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("x"), MessageAttributes: attributes(10)}, ""},
		"eleven attributes":             {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("x"), MessageAttributes: attributes(11)}, "400 InvalidParameterValue"},
		"an attribute of AWS":           {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{"AWS.x": text("v")}}, "400 InvalidParameterValue"},
		"an attribute with two dots":    {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{"a..b": text("v")}}, "400 InvalidParameterValue"},
		"an attribute without a value":  {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{"a": text("")}}, "400 InvalidParameterValue"},
		"an attribute of no type":       {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{"a": {DataType: aws.String("Text"), StringValue: aws.String("v")}}}, "400 InvalidParameterValue"},
		"an attribute with a nul":       {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{"a": text("\x00")}}, "400 InvalidMessageContents"},
		"a fair queue":                  {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("x"), MessageGroupId: aws.String("g")}, ""},
		"deduplication without FIFO":    {sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("x"), MessageDeduplicationId: aws.String("d")}, "400 InvalidParameterValue"},
		"FIFO":                          {sqs.SendMessageInput{QueueUrl: &fifo, MessageBody: aws.String("x"), MessageGroupId: aws.String("!~"), MessageDeduplicationId: aws.String("d")}, ""},
		"FIFO without a group":          {sqs.SendMessageInput{QueueUrl: &fifo, MessageBody: aws.String("x"), MessageDeduplicationId: aws.String("d")}, "400 MissingParameter"},
		"FIFO without deduplication":    {sqs.SendMessageInput{QueueUrl: &fifo, MessageBody: aws.String("x"), MessageGroupId: aws.String("g")}, "400 InvalidParameterValue"},
		"deduplication by content":      {sqs.SendMessageInput{QueueUrl: &byContent, MessageBody: aws.String("x"), MessageGroupId: aws.String("g")}, ""},
		"FIFO with a delay":             {sqs.SendMessageInput{QueueUrl: &fifo, MessageBody: aws.String("x"), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("d"), DelaySeconds: 1}, "400 InvalidParameterValue"},
		"a group with a space":          {sqs.SendMessageInput{QueueUrl: &fifo, MessageBody: aws.String("x"), MessageGroupId: aws.String("a b"), MessageDeduplicationId: aws.String("d")}, "400 InvalidParameterValue"},
		"a group that is too long":      {sqs.SendMessageInput{QueueUrl: &fifo, MessageBody: aws.String("x"), MessageGroupId: aws.String(strings.Repeat("g", 129)), MessageDeduplicationId: aws.String("d")}, "400 InvalidParameterValue"},
		"a deduplication id beyond it":  {sqs.SendMessageInput{QueueUrl: &fifo, MessageBody: aws.String("x"), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("é")}, "400 InvalidParameterValue"},
		"no such queue":                 {sqs.SendMessageInput{QueueUrl: aws.String(s.URL + "/" + Account + "/none"), MessageBody: aws.String("x")}, "400 AWS.SimpleQueueService.NonExistentQueue"},
		"a queue of another service":    {sqs.SendMessageInput{QueueUrl: aws.String("http://127.0.0.1:1/1/queue"), MessageBody: aws.String("x")}, "400 InvalidAddress"},
		"another account's":             {sqs.SendMessageInput{QueueUrl: aws.String(s.AddQueue(Queue{Name: "q", Account: "999900001111"})), MessageBody: aws.String("x")}, "403 AccessDenied"},
		"another account's that shares": {sqs.SendMessageInput{QueueUrl: aws.String(s.AddQueue(Queue{Name: "p", Account: "999900001111", Shared: []string{Account}})), MessageBody: aws.String("x")}, ""},
	} {
		_, err := c.SendMessage(context.Background(), &tt.in)
		want(t, name, err, tt.answer)
	}
	s.Deny("sqs:SendMessage")
	_, err := c.SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: &standard, MessageBody: aws.String("x")})
	want(t, "denied", err, "403 AccessDenied")
}

func entries(bodies ...string) (all []types.SendMessageBatchRequestEntry) {
	for i, b := range bodies {
		all = append(all, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint("e", i)), MessageBody: aws.String(b)})
	}
	return all
}

func TestBatchesAreJudged(t *testing.T) {
	s := New(t)
	url := s.AddQueue(Queue{Name: "queue"})
	c := newClient(t, s).sqs()
	half := strings.Repeat("x", 1<<19)
	twice := entries("a", "b")
	twice[1].Id = twice[0].Id
	odd := entries("a")
	odd[0].Id = aws.String("a b")
	for name, tt := range map[string]struct {
		entries []types.SendMessageBatchRequestEntry
		answer  string
	}{
		"ten":                   {entries(strings.Split("abcdefghij", "")...), ""},
		"eleven":                {entries(strings.Split("abcdefghijk", "")...), "400 AWS.SimpleQueueService.TooManyEntriesInBatchRequest"},
		"none":                  {[]types.SendMessageBatchRequestEntry{}, "400 AWS.SimpleQueueService.EmptyBatchRequest"},
		"a mebibyte in all":     {entries(half, half), ""},
		"a byte more":           {entries(half, half+"x"), "400 AWS.SimpleQueueService.BatchRequestTooLong"},
		"an id twice":           {twice, "400 AWS.SimpleQueueService.BatchEntryIdsNotDistinct"},
		"an id with a space":    {odd, "400 AWS.SimpleQueueService.InvalidBatchEntryId"},
		"bad messages are fine": {entries("a\x00"), ""},
	} {
		_, err := c.SendMessageBatch(context.Background(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: tt.entries})
		want(t, name, err, tt.answer)
	}
}

func TestBatchesFailInPart(t *testing.T) {
	s := New(t)
	url := s.AddQueue(Queue{Name: "queue"})
	s.FailEntries(func(body string) (Fault, bool) {
		return Fault{Status: 500, Code: "InternalError", Message: "try again"}, body == "theirs"
	})
	send := func() *sqs.SendMessageBatchOutput {
		out, err := newClient(t, s).sqs().SendMessageBatch(context.Background(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries("good", "theirs", "ours\x00", "too")})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	got := ""
	for _, f := range send().Failed {
		got += fmt.Sprint(*f.Id, " ", *f.Code, " ", f.SenderFault, "\n")
	}
	if want := "e1 InternalError false\ne2 InvalidMessageContents true\n"; got != want {
		t.Errorf("failed:\n%swant\n%s", got, want)
	}
	if m := s.Messages(url); len(m) != 2 || m[0].Body != "good" || m[1].Body != "too" {
		t.Errorf("the queue holds %+v", m)
	}
	s.Mend()
	if out := send(); len(out.Successful) != 3 {
		t.Errorf("after mending: %+v", out)
	}
}

func TestFIFODeduplicates(t *testing.T) {
	s := New(t)
	url := s.AddQueue(Queue{Name: "queue.fifo"})
	send := func(dedup string) (id string) {
		out, err := newClient(t, s).sqs().SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), MessageGroupId: aws.String("g"), MessageDeduplicationId: &dedup})
		if err != nil {
			t.Fatal(err)
		}
		return *out.MessageId
	}
	first := send("a")
	if send("a") != first || send("b") == first || len(s.Messages(url)) != 2 {
		t.Errorf("the queue holds %+v", s.Messages(url))
	}
	s.Advance(4 * time.Minute)
	if send("a") != first {
		t.Error("a repeat within five minutes is another message")
	}
	s.Advance(-8 * time.Minute) // within what signatures may be off
	early := send("c")
	s.Advance(8 * time.Minute)
	if send("c") == early {
		t.Error("a repeat after eight minutes is the same message")
	}
	s.AddQueue(Queue{Name: "queue.fifo"})
	if send("a") == first {
		t.Error("a new queue knows old messages")
	}
}

func TestQueueURLs(t *testing.T) {
	s := New(t)
	mine := s.AddQueue(Queue{Name: "queue"})
	other := User{"AKIAOTHER", "secret", "999900001111"}
	s.AddUser(other)
	theirs := newClient(t, s).as(other.AccessKey, other.SecretKey, "").sqs()
	ask := func(c *sqs.Client, owner *string) (string, error) {
		out, err := c.GetQueueUrl(context.Background(), &sqs.GetQueueUrlInput{QueueName: aws.String("queue"), QueueOwnerAWSAccountId: owner})
		if err != nil {
			return "", err
		}
		return *out.QueueUrl, nil
	}
	if got, err := ask(newClient(t, s).sqs(), nil); got != mine {
		t.Error(got, err)
	}
	_, err := ask(theirs, nil)
	want(t, "a queue that the account does not have", err, "400 AWS.SimpleQueueService.NonExistentQueue")
	_, err = ask(theirs, aws.String(Account))
	want(t, "a queue that is not shared", err, "403 AccessDenied")
	s.AddQueue(Queue{Name: "queue", Shared: []string{other.Account}})
	if got, err := ask(theirs, aws.String(Account)); got != mine {
		t.Error(got, err)
	}
	s.RemoveQueue(mine)
	_, err = ask(newClient(t, s).sqs(), nil)
	want(t, "a removed queue", err, "400 AWS.SimpleQueueService.NonExistentQueue")
}

func TestQueueAttributesAndConsumers(t *testing.T) {
	s := New(t)
	url, ctx := s.AddQueue(Queue{Name: "queue.fifo"}), context.Background()
	c := newClient(t, s).sqs()
	out, err := c.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil || out.Attributes["FifoQueue"] != "true" || out.Attributes["QueueArn"] != "arn:aws:sqs:eu-central-1:"+Account+":queue.fifo" {
		t.Errorf("%+v %v", out, err)
	}
	_, err = c.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"Color"}})
	want(t, "an unknown attribute", err, "400 InvalidAttributeName")
	for i := range 3 {
		if _, err := c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), MessageAttributes: attributes(1), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{2, 1, 0} {
		got, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 2, MessageAttributeNames: []string{"All"}})
		if err != nil || len(got.Messages) != n {
			t.Fatalf("%d messages, want %d: %v", len(got.Messages), n, err)
		}
		for _, m := range got.Messages {
			if *m.MessageAttributes["a0"].StringValue != "v" {
				t.Errorf("%+v", m)
			}
			if _, err := c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				t.Error(err)
			}
		}
	}
	_, err = c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: aws.String("x")})
	want(t, "a handle of nothing", err, "400 ReceiptHandleIsInvalid")
}
