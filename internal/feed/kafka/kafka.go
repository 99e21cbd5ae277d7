// Package kafka reads events from topics of Kafka, as a member of a consumer group. Offsets are
// committed only behind records that the daemon, or dead letters, have on disk.
package kafka

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/seed-51f8da91/fantail/internal/feed"
)

// What is held of a topic is bounded: mostRecords in a request to the daemon, and in all fetchBytes of
// each broker, compressed, of which a batch may decompress to batchBytes.
const (
	mostRecords = 1000
	fetchBytes  = 16 << 20
	partBytes   = 4 << 20
	batchBytes  = 64 << 20
	letterBytes = 96 << 20
	// togetherBytes is half of what a topic takes by default.
	togetherBytes = 512 << 10
)

// session is how long the partitions of a member that was killed wait for another.
const session = 10 * time.Second

// opening bounds the first contact, closing what is done at the end: commit, and leave the group.
const opening, closing = 30 * time.Second, 10 * time.Second

// Options say what to read, and from where.
type Options struct {
	Brokers, Topics []string
	Group           string
	FromEnd         bool // where the group has no offset: only what comes from now on
	TLS             *tls.Config
	SASL            sasl.Mechanism
	Dead            string // topic of dead letters; ""
	Version         string // of this program, which brokers are told

	// Note is told what people should know: that brokers are away, that offsets were not committed.
	Note func(text string)
}

// Source is a member of the group.
type Source struct {
	Options
	client *kgo.Client
	ids    map[string]string // of topics, for keys
}

// Open connects, and sees that the topics are there.
func Open(ctx context.Context, o Options) (*Source, error) {
	start := kgo.NewOffset().AtStart()
	if o.FromEnd {
		start = kgo.NewOffset().AtEnd()
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(o.Brokers...), kgo.ClientID("fantail"), kgo.SoftwareNameAndVersion("fantail", version(o.Version)),
		kgo.ConsumerGroup(o.Group), kgo.ConsumeTopics(o.Topics...), kgo.ConsumeStartOffset(start), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		// What a transaction aborted was never meant.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// Partitions move only between a commit and the next poll.
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(session),
		kgo.FetchMaxBytes(fetchBytes), kgo.FetchMaxPartitionBytes(partBytes), kgo.MaxDecompressBatchBytes(batchBytes),
		// A letter is a third longer than its record, as base64, which compression takes back, though not at
		// its fast levels. How long it may be the topic says, not the client.
		kgo.ProducerBatchMaxBytes(letterBytes), kgo.ProducerBatchCompression(kgo.GzipCompression().WithLevel(9)),
		kgo.WithLogger(logger{o.Note}),
	}
	if o.TLS != nil {
		options = append(options, kgo.DialTLSConfig(o.TLS))
	}
	if o.SASL != nil {
		options = append(options, kgo.SASL(o.SASL))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("open a client of Kafka: %w", err)
	}
	s := &Source{Options: o, client: client}
	if err := s.identify(ctx); err != nil {
		client.Close()
		if errors.Is(err, context.DeadlineExceeded) { // brokers hang up on whoever they do not know
			err = fmt.Errorf("%w: see that the brokers run, and that addresses, TLS and credentials are right", err)
		}
		return nil, err
	}
	return s, nil
}

// identify learns what the topics' ids are: a topic that was removed and made again begins anew with
// its offsets, but with another id, so that keys made of it never meet those of the old one.
func (s *Source) identify(ctx context.Context) error {
	request := kmsg.NewPtrMetadataRequest()
	for _, name := range s.Topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		request.Topics = append(request.Topics, t)
	}
	ctx, end := context.WithTimeout(ctx, opening)
	defer end()
	answer, err := request.RequestWith(ctx, s.client)
	if err != nil {
		return fmt.Errorf("ask the brokers %v for their topics: %w", s.Brokers, err)
	}
	s.ids = map[string]string{}
	cluster := ""
	if answer.ClusterID != nil {
		cluster = *answer.ClusterID
	}
	for _, t := range answer.Topics {
		if t.Topic == nil {
			continue
		}
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("ask for the topic %q: %w", *t.Topic, err)
		}
		id := t.TopicID
		if id == [16]byte{} { // brokers before 2.8 have none
			sum := sha256.Sum256([]byte(cluster + "/" + *t.Topic))
			id = [16]byte(sum[:16])
		}
		s.ids[*t.Topic] = base64.RawURLEncoding.EncodeToString(id[:])
	}
	return nil
}

// Run reads until ctx ends, which is no error, or something is wrong that waiting does not mend. What
// was read then and has no final answer is read again by whoever has its partition next.
func (s *Source) Run(ctx context.Context, sink *feed.Sink) error {
	defer s.close()
	for ctx.Err() == nil {
		fetched := s.client.PollRecords(ctx, mostRecords)
		if ctx.Err() != nil {
			return nil
		}
		for _, f := range fetched.Errors() {
			if err := s.fault(f); err != nil {
				return err
			}
		}
		err := s.take(ctx, sink, fetched.Records())
		s.client.AllowRebalance()
		if _, refused := feed.Refused(err); err != nil && (refused || ctx.Err() == nil) {
			return err
		}
	}
	return nil
}

// fault judges what a poll says. Most the client mends by itself; the rest is returned.
func (s *Source) fault(f kgo.FetchError) error {
	if loss, ok := errors.AsType[*kgo.ErrDataLoss](f.Err); ok {
		s.Note(fmt.Sprintf("Kafka has lost records of %s/%d before they were read, those before offset %d: its retention is too short, or its log was cut", loss.Topic, loss.Partition, loss.ResetTo))
		return nil
	}
	for _, fatal := range []error{kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.SaslAuthenticationFailed, kerr.ClusterAuthorizationFailed} {
		if errors.Is(f.Err, fatal) {
			return fmt.Errorf("read the topic %s: %w", f.Topic, f.Err)
		}
	}
	if _, ok := errors.AsType[*kgo.ErrGroupSession](f.Err); ok {
		s.Note(fmt.Sprintf("out of the group, and joining again: %v", f.Err))
		return nil
	}
	return fmt.Errorf("read %s/%d: %w", f.Topic, f.Partition, f.Err)
}

// take hands records in and commits the offsets of those that are done.
func (s *Source) take(ctx context.Context, sink *feed.Sink, from []*kgo.Record) error {
	if len(from) == 0 {
		return nil
	}
	records := make([]feed.Record, len(from))
	for i, r := range from {
		records[i] = s.record(r)
	}
	done, err := sink.Take(ctx, records)
	if finished := prefixes(from, done); len(finished) > 0 {
		ctx, end := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer end()
		if err := s.client.CommitRecords(ctx, finished...); err != nil {
			s.Note(fmt.Sprintf("offsets were not committed (%v): these records come again, and the daemon knows them by their keys", err))
		}
	}
	return err
}

// record is one of Kafka as the sink takes it.
func (s *Source) record(r *kgo.Record) feed.Record {
	out := feed.Record{
		ID:   fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset),
		Key:  fmt.Sprintf("kafka/%s/%d/%d", s.ids[r.Topic], r.Partition, r.Offset),
		Body: r.Value,
	}
	for _, h := range r.Headers {
		out.Set(h.Key, string(h.Value))
	}
	return out
}

// prefixes returns of each partition the last record before which, itself included, all are done:
// behind it an offset may be committed. Records of one partition stand in their order.
func prefixes(records []*kgo.Record, done []bool) []*kgo.Record {
	type partition struct {
		topic  string
		number int32
	}
	var last []*kgo.Record
	at := map[partition]int{}
	open := map[partition]bool{}
	for i, r := range records {
		p := partition{r.Topic, r.Partition}
		if open[p] = open[p] || !done[i]; open[p] {
			continue
		}
		if j, ok := at[p]; ok {
			last[j] = r
			continue
		}
		at[p] = len(last)
		last = append(last, r)
	}
	return last
}

// Put implements feed.DeadLetters: all replicas in sync have a letter before it counts.
func (s *Source) Put(ctx context.Context, letters [][]byte) error {
	for len(letters) > 0 {
		var records []*kgo.Record
		size := 0
		for _, l := range letters { // a topic bounds what comes together, too
			if size += len(l); size > togetherBytes && len(records) > 0 {
				break
			}
			records = append(records, &kgo.Record{Topic: s.Dead, Value: l})
		}
		err := s.client.ProduceSync(ctx, records...).FirstErr()
		if errors.Is(err, kerr.MessageTooLarge) {
			return fmt.Errorf("send dead letters to the topic %s, which takes none of %d bytes: raise its max.message.bytes, or give --dead-letter with a file instead: %w", s.Dead, size, err)
		}
		if err != nil {
			return fmt.Errorf("send dead letters to the topic %s: %w", s.Dead, err)
		}
		letters = letters[len(records):]
	}
	return nil
}

// close leaves the group, so that another member has the partitions at once.
func (s *Source) close() {
	ctx, end := context.WithTimeout(context.Background(), closing)
	defer end()
	s.client.AllowRebalance()
	if err := s.client.LeaveGroupContext(ctx); err != nil && !errors.Is(err, kgo.ErrClientClosed) {
		s.Note(fmt.Sprintf("leave the group %s: %v", s.Group, err))
	}
	s.client.CloseAllowingRebalance()
}

// version is a version as brokers take it: letters, digits, dots and hyphens.
func version(text string) string {
	b := []byte(text)
	b = slices.DeleteFunc(b, func(c byte) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '.' && c != '-'
	})
	if b = slices.Clip(b); len(b) == 0 || b[0] == '.' || b[0] == '-' || b[len(b)-1] == '.' || b[len(b)-1] == '-' {
		return "unknown"
	}
	return string(b)
}
