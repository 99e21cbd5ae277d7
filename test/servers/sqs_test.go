package servers_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/seed-51f8da91/fantail/test/servers"
)

func TestSQSKeepsMessages(t *testing.T) {
	s := servers.StartSQS(t)
	roundTrip(t, sqsClient(s.Endpoint, s.Region, s.AccessKey, s.SecretKey), s.Endpoint)
}

func sqsClient(endpoint, region, access, secret string) *sqs.Client {
	return sqs.New(sqs.Options{Region: region, BaseEndpoint: &endpoint, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(access, secret, "")})
}

// roundTrip sends a message through a new queue, whose URL must lie below the
// endpoint, and receives it.
func roundTrip(t *testing.T, c *sqs.Client, endpoint string) {
	t.Helper()
	q, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(servers.Name())})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(*q.QueueUrl, endpoint+"/") {
		t.Errorf("queue %s is not below %s", *q.QueueUrl, endpoint)
	}
	if _, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: aws.String("body")}); err != nil {
		t.Fatal(err)
	}
	got, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q.QueueUrl, WaitTimeSeconds: 5})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Messages) != 1 || *got.Messages[0].Body != "body" {
		t.Errorf("received %d messages", len(got.Messages))
	}
}
