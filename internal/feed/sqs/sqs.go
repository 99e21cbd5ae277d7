// Package sqs reads events from a queue of Amazon SQS. A message is deleted only when the daemon, or
// dead letters, have it on disk; while it waits for the daemon nobody else is shown it.
package sqs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	api "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/seed-51f8da91/fantail/internal/feed"
)

const (
	mostMessages = 10 // of one request, by SQS's own limit
	// pollSeconds is how long a request waits for messages. One that is broken off may still be given some,
	// which nobody is shown until their visibility ends: the end waits for it instead.
	pollSeconds = 5
)

// closing bounds what is done at the queue after a batch, at the end too.
const closing = 10 * time.Second

// Options say what to read, and from where.
type Options struct {
	Queue      string // URL
	Region     string // "": that of the environment
	Endpoint   string // of another provider; "": AWS
	Visibility time.Duration
	Receivers  int    // how many ask at a time; each holds ten messages at the most
	Dead       string // URL of the queue of dead letters; ""

	Note func(text string) // is told what people should know
}

// Source is a queue.
type Source struct {
	Options
	api *api.Client

	mu   sync.Mutex
	open []types.Message // without a final answer, at the end
}

// Open finds credentials as the AWS SDKs do: in the environment, in shared files, at the metadata
// service. It sees that the queue is there.
func Open(ctx context.Context, o Options) (*Source, error) {
	var options []func(*config.LoadOptions) error
	if o.Region != "" {
		options = append(options, config.WithRegion(o.Region))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("find AWS's settings: %w", err)
	}
	if c.Region == "" {
		return nil, errors.New("no region is named: give --region, or set AWS_REGION")
	}
	if o.Endpoint != "" {
		c.BaseEndpoint = &o.Endpoint
	}
	s := &Source{Options: o, api: api.NewFromConfig(c)}
	_, err = s.api.GetQueueAttributes(ctx, &api.GetQueueAttributesInput{QueueUrl: &s.Queue, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil && status(err) != http.StatusForbidden { // the right to ask is not needed
		return nil, fmt.Errorf("ask for the queue %s: %w", s.Queue, err)
	}
	return s, nil
}

// Run reads until ctx ends, which is no error, or something is wrong that waiting does not mend.
// Messages without a final answer are shown to others at once.
func (s *Source) Run(ctx context.Context, sink *feed.Sink) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var first error
	var once sync.Once
	var receivers sync.WaitGroup
	for range s.Receivers {
		receivers.Go(func() {
			if err := s.receive(ctx, sink); err != nil {
				once.Do(func() { first = err; end(err) })
			}
		})
	}
	receivers.Wait()
	// Sooner one of the receivers would be shown them as it ends.
	done, stop := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer stop()
	for len(s.open) > 0 {
		n := min(len(s.open), mostMessages)
		s.show(done, s.open[:n], 0)
		s.open = s.open[n:]
	}
	return first
}

// receive asks for messages, a batch after the other.
func (s *Source) receive(ctx context.Context, sink *feed.Sink) error {
	const firstPause, mostPause = time.Second, 30 * time.Second
	pause := firstPause
	for ctx.Err() == nil {
		out, err := s.poll(ctx)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				s.keepOpen(out.Messages...)
			}
			return nil
		case err != nil && hopeless(err):
			return fmt.Errorf("receive from %s: %w", s.Queue, err)
		case err != nil:
			s.Note(fmt.Sprintf("receive from %s, trying again in %s: %v", s.Queue, pause, err))
			if !sink.Pause(ctx, pause) {
				return nil
			}
			pause = min(2*pause, mostPause)
			continue
		}
		pause = firstPause
		if len(out.Messages) == 0 {
			continue
		}
		err = s.take(ctx, sink, out.Messages)
		if _, refused := feed.Refused(err); err != nil && (refused || ctx.Err() == nil) {
			return err
		}
	}
	return nil
}

func (s *Source) poll(ctx context.Context) (*api.ReceiveMessageOutput, error) {
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), pollSeconds*time.Second+closing)
	defer end()
	return s.api.ReceiveMessage(ctx, &api.ReceiveMessageInput{
		QueueUrl: &s.Queue, MaxNumberOfMessages: mostMessages, WaitTimeSeconds: pollSeconds,
		VisibilityTimeout: seconds(s.Visibility), MessageAttributeNames: []string{"All"},
	})
}

func (s *Source) keepOpen(messages ...types.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, messages...)
}

// take hands messages in and deletes those that are done. Others there are only at the end.
func (s *Source) take(ctx context.Context, sink *feed.Sink, messages []types.Message) error {
	records := make([]feed.Record, len(messages))
	for i := range messages {
		records[i] = record(&messages[i])
	}
	stop := s.hold(ctx, messages)
	done, err := sink.Take(ctx, records)
	stop()
	var finished []types.Message
	for i, m := range messages {
		if done[i] {
			finished = append(finished, m)
		} else {
			s.keepOpen(m)
		}
	}
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer end()
	s.remove(ctx, finished)
	return err
}

// hold keeps messages from others until it is stopped.
func (s *Source) hold(ctx context.Context, messages []types.Message) (stop func()) {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	var holder sync.WaitGroup
	holder.Go(func() {
		tick := time.NewTicker(s.Visibility / 3)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.show(ctx, messages, s.Visibility)
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { end(); holder.Wait() }
}

// show says when others may be shown messages that are not deleted. What fails costs a delivery to
// another consumer, whose daemon knows the key.
func (s *Source) show(ctx context.Context, messages []types.Message, after time.Duration) {
	if len(messages) == 0 {
		return
	}
	in := &api.ChangeMessageVisibilityBatchInput{QueueUrl: &s.Queue}
	for i, m := range messages {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds(after),
		})
	}
	out, err := s.api.ChangeMessageVisibilityBatch(ctx, in)
	if err == nil && len(out.Failed) > 0 {
		err = errors.New(aws.ToString(out.Failed[0].Message))
	}
	if err != nil && ctx.Err() == nil {
		s.Note(fmt.Sprintf("change when messages of %s are shown again: %v", s.Queue, err))
	}
}

// remove deletes messages. One that stays comes again, and the daemon knows it by its key.
func (s *Source) remove(ctx context.Context, messages []types.Message) {
	if len(messages) == 0 {
		return
	}
	in := &api.DeleteMessageBatchInput{QueueUrl: &s.Queue}
	for i, m := range messages {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
	}
	out, err := s.api.DeleteMessageBatch(ctx, in)
	if err == nil && len(out.Failed) > 0 {
		err = errors.New(aws.ToString(out.Failed[0].Message))
	}
	if err != nil {
		s.Note(fmt.Sprintf("delete messages of %s, which come again, and the daemon knows them by their keys: %v", s.Queue, err))
	}
}

// record is a message as the sink takes it. Attributes are its headers.
func record(m *types.Message) feed.Record {
	id := aws.ToString(m.MessageId)
	r := feed.Record{ID: id, Key: "sqs/" + id, Body: []byte(aws.ToString(m.Body))}
	for name, v := range m.MessageAttributes {
		if v.StringValue != nil {
			r.Set(name, *v.StringValue)
		} else if v.BinaryValue != nil { // left out, the event would be that of --developer
			r.Set(name, string(v.BinaryValue))
		}
	}
	return r
}

// Put implements feed.DeadLetters.
func (s *Source) Put(ctx context.Context, letters [][]byte) error {
	for _, l := range letters {
		in := &api.SendMessageInput{QueueUrl: &s.Dead, MessageBody: aws.String(string(l))}
		if strings.HasSuffix(s.Dead, ".fifo") {
			sum := sha256.Sum256(l)
			in.MessageGroupId, in.MessageDeduplicationId = aws.String("fantail"), aws.String(hex.EncodeToString(sum[:]))
		}
		if _, err := s.api.SendMessage(ctx, in); err != nil {
			if answer, ok := errors.AsType[smithy.APIError](err); ok && answer.ErrorCode() == "InvalidParameterValue" { // no code says that it is too long
				return fmt.Errorf("send a dead letter of %d bytes to %s: if that is too long for the queue, give --dead-letter with a file instead: %w", len(l), s.Dead, err)
			}
			return fmt.Errorf("send dead letters to %s: %w", s.Dead, err)
		}
	}
	return nil
}

// hopeless tells whether asking again cannot help: rights, names, requests that no queue takes.
func hopeless(err error) bool {
	switch status(err) {
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return false
	}
	// Some of them are answered 400 or 403.
	if answer, ok := errors.AsType[smithy.APIError](err); ok && (strings.Contains(answer.ErrorCode(), "Throttl") || strings.Contains(answer.ErrorCode(), "OverLimit")) {
		return false
	}
	return status(err)/100 == 4
}

// status is what the queue answered with; 0 for nothing.
func status(err error) int {
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return answer.HTTPStatusCode()
	}
	return 0
}

func seconds(d time.Duration) int32 { return int32(d / time.Second) }
