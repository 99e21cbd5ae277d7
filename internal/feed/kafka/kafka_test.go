package kafka

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/seed-51f8da91/fantail/internal/feed"
	"github.com/seed-51f8da91/fantail/internal/feed/feedtest"
)

// has waits for the first n events, and checks that they are those of produce(0, n).
func has(t *testing.T, in *feedtest.Intake, n int) {
	t.Helper()
	in.Wait(t, n)
	lines, _ := in.Taken()
	var got, want []string
	for _, line := range lines {
		got = append(got, line.Developer+" "+string(line.Event))
	}
	for i := range n {
		want = append(want, fmt.Sprintf(`acme {"type":"x","n":%d}`, i))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d events, want %d: %.300q", len(got), len(want), got)
	}
}

// cluster is a broker in this process, and a client to write with.
func cluster(t *testing.T, partitions int32, more ...kfake.Opt) ([]string, *kgo.Client) {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(partitions, "events"), kfake.SeedTopics(1, "dead")}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return c.ListenAddrs(), w
}

func produce(t *testing.T, w *kgo.Client, from, to int) {
	t.Helper()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(records, &kgo.Record{Topic: "events", Value: fmt.Appendf(nil, `{"type":"x","n":%d}`, i)})
	}
	if err := w.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func options(t *testing.T, brokers []string) Options {
	return Options{Brokers: brokers, Topics: []string{"events"}, Group: "g", Version: "test", Note: feedtest.Note(t)}
}

func run(t *testing.T, o Options, sink *feed.Sink) *feedtest.Running {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if o.Dead != "" {
		sink.Dead = s
	}
	return feedtest.Run(t, s, sink)
}

// committed sums the offsets of the group.
func committed(t *testing.T, w *kgo.Client) (sum int64) {
	t.Helper()
	request := kmsg.NewPtrOffsetFetchRequest()
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = "g"
	request.Groups, request.Group = append(request.Groups, group), "g"
	answer, err := request.RequestWith(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range answer.Groups {
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				sum += p.Offset
			}
		}
	}
	return sum
}

func TestOffsetsFollowWhatTheDaemonHas(t *testing.T) {
	brokers, w := cluster(t, 3)
	in, sink := feedtest.New(t)
	produce(t, w, 0, 200)
	// The daemon is busy now and then.
	calls := 0
	in.Judge(func(string) (int, string) {
		if calls++; calls%7 == 0 {
			return 503, "unavailable"
		}
		return 202, ""
	})
	r := run(t, options(t, brokers), sink)
	has(t, in, 200)
	r.Stop(t)
	if got := committed(t, w); got != 200 {
		t.Errorf("%d offsets are committed, want 200", got)
	}
	produce(t, w, 200, 210)
	r = run(t, options(t, brokers), sink)
	in.Wait(t, 10)
	r.Stop(t)
	if lines, again := in.Taken(); again != 0 || len(lines) != 210 {
		t.Errorf("%d came twice, %d events", again, len(lines))
	}
}

// A source that is told to stop while the daemon takes nothing commits nothing of it.
func TestWhatHasNoAnswerComesAgain(t *testing.T) {
	brokers, w := cluster(t, 1)
	in, sink := feedtest.New(t)
	produce(t, w, 0, 20)
	asked := make(chan struct{}, 1)
	in.Judge(func(body string) (int, string) {
		if strings.Contains(body, `"n":7}`) {
			select {
			case asked <- struct{}{}:
			default:
			}
			return 503, "unavailable"
		}
		return 202, ""
	})
	r := run(t, options(t, brokers), sink)
	<-asked
	r.Stop(t)
	if got := committed(t, w); got > 7 {
		t.Errorf("offset %d is committed beyond a record that has no answer", got)
	}
	in.Judge(nil)
	r = run(t, options(t, brokers), sink)
	has(t, in, 20)
	r.Stop(t)
	if got := committed(t, w); got != 20 {
		t.Errorf("offset %d is committed, want 20", got)
	}
}

func TestAGroupThatMovesLosesNothing(t *testing.T) {
	brokers, w := cluster(t, 6)
	in, sink := feedtest.New(t)
	o := options(t, brokers)
	first := run(t, o, sink)
	produce(t, w, 0, 300)
	second := run(t, o, sink)
	produce(t, w, 300, 600)
	third := run(t, o, sink)
	first.Stop(t)
	produce(t, w, 600, 900)
	second.Stop(t)
	has(t, in, 900)
	third.Stop(t)
	if got := committed(t, w); got != 900 {
		t.Errorf("%d offsets are committed, want 900", got)
	}
}

func TestARefusedRecordStopsItBeforeItsOffset(t *testing.T) {
	brokers, w := cluster(t, 1)
	in, sink := feedtest.New(t)
	produce(t, w, 0, 10)
	in.Judge(func(body string) (int, string) {
		if strings.Contains(body, `"n":4}`) {
			return 404, "unknown_developer"
		}
		return 202, ""
	})
	r := run(t, options(t, brokers), sink)
	err := r.End()
	refused, ok := feed.Refused(err)
	if !ok || refused.Record.ID != "events/0/4" || refused.Code != "unknown_developer" {
		t.Fatalf("%v", err)
	}
	if got := committed(t, w); got != 4 {
		t.Errorf("offset %d is committed, want 4", got)
	}

	o := options(t, brokers)
	o.Dead = "dead"
	r = run(t, o, sink)
	produce(t, w, 10, 11)
	in.Wait(t, 10)
	r.Stop(t)
	if got := committed(t, w); got != 11 {
		t.Errorf("offset %d is committed, want 11", got)
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics("dead"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	letters := reader.PollFetches(ctx).Records()
	var letter struct {
		From, Code string
		Line       struct {
			Developer string `json:"dev_id"`
			Body      []byte
		}
	}
	if len(letters) != 1 {
		t.Fatalf("%d letters", len(letters))
	}
	if err := json.Unmarshal(letters[0].Value, &letter); err != nil || letter.From != "events/0/4" || letter.Code != "unknown_developer" || string(letter.Line.Body) != `{"type":"x","n":4}` {
		t.Errorf("%s, %v", letters[0].Value, err)
	}
}

// A letter is longer than its record: one that is nearly as long as Kafka takes by default must not stop
// the group for ever.
func TestALongRecordBecomesALetter(t *testing.T) {
	brokers, w := cluster(t, 1)
	in, sink := feedtest.New(t)
	in.Judge(func(string) (int, string) { return 400, "invalid_json" })
	body := make([]byte, 900<<10)
	if _, err := rand.NewChaCha8([32]byte{}).Read(body); err != nil {
		t.Fatal(err)
	}
	if err := w.ProduceSync(t.Context(), &kgo.Record{Topic: "events", Value: body}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	o := options(t, brokers)
	o.Dead = "dead"
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	sink.Dead = s
	done, err := sink.Take(t.Context(), []feed.Record{{ID: "events/0/0", Key: "k", Body: body}})
	if err != nil || !done[0] {
		t.Error(err)
	}
}

// A topic that was made again begins anew with its offsets: its records are other events.
func TestATopicThatIsMadeAgainIsAnother(t *testing.T) {
	brokers, w := cluster(t, 1)
	o := options(t, brokers)
	key := func() string {
		s, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.client.Close()
		return s.record(&kgo.Record{Topic: "events", Partition: 2, Offset: 7}).Key
	}
	before := key()
	if before != key() || !strings.HasPrefix(before, "kafka/") || !strings.HasSuffix(before, "/2/7") || len(before) > 255 {
		t.Errorf("key %q", before)
	}
	remove := kmsg.NewPtrDeleteTopicsRequest()
	remove.TopicNames = []string{"events"}
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr("events")
	remove.Topics = append(remove.Topics, topic)
	if _, err := remove.RequestWith(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), `"events"`) {
		t.Errorf("a topic that is not there: %v", err)
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	made := kmsg.NewCreateTopicsRequestTopic()
	made.Topic, made.NumPartitions, made.ReplicationFactor = "events", 1, 1
	create.Topics = append(create.Topics, made)
	if _, err := create.RequestWith(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if after := key(); after == before {
		t.Errorf("both topics have the key %q", after)
	}
}

func TestLoggingIn(t *testing.T) {
	const user, password = "fantail", "the-password-of-kafka"
	for name, mechanism := range map[string]string{"plain": "PLAIN", "scram-sha-256": "SCRAM-SHA-256", "scram-sha-512": "SCRAM-SHA-512"} {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "events"), kfake.EnableSASL(), kfake.Superuser(mechanism, user, password))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for given, well := range map[string]bool{password: true, "another": false} {
			o := options(t, c.ListenAddrs())
			switch name {
			case "plain":
				o.SASL = plain.Auth{User: user, Pass: given}.AsMechanism()
			case "scram-sha-256":
				o.SASL = scram.Auth{User: user, Pass: given}.AsSha256Mechanism()
			default:
				o.SASL = scram.Auth{User: user, Pass: given}.AsSha512Mechanism()
			}
			patience := time.Second // who is refused is asked for all of it
			if well {
				patience = time.Minute
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			s, err := Open(ctx, o)
			cancel()
			if (err == nil) != well {
				t.Errorf("%s with %q: %v", name, given, err)
			}
			if err == nil {
				s.client.Close()
			} else if strings.Contains(err.Error(), "another") {
				t.Errorf("the error shows the password: %v", err)
			}
		}
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(nil) // for its certificate
	defer server.Close()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "events"), kfake.TLS(&tls.Config{Certificates: server.TLS.Certificates}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o := options(t, c.ListenAddrs())
	o.TLS = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.client.Close()
	o.TLS = &tls.Config{}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := Open(ctx, o); err == nil {
		t.Error("a broker that nobody vouches for was believed")
	}
}

func TestPrefixes(t *testing.T) {
	at := func(p int32, offset int64) *kgo.Record { return &kgo.Record{Topic: "t", Partition: p, Offset: offset} }
	records := []*kgo.Record{at(0, 5), at(0, 6), at(0, 7), at(1, 1), at(1, 2), at(2, 9)}
	for done, want := range map[string]string{"111111": "0/7 1/2 2/9", "110111": "0/6 1/2 2/9", "011011": "2/9", "101101": "0/5 1/1 2/9", "000000": ""} {
		var is []bool
		for _, c := range done {
			is = append(is, c == '1')
		}
		var got []string
		for _, r := range prefixes(records, is) {
			got = append(got, fmt.Sprintf("%d/%d", r.Partition, r.Offset))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", done, got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	for text, want := range map[string]string{"v1.2.3": "v1.2.3", "(devel)": "devel", "": "unknown", "v0.1.0+dirty": "v0.1.0dirty", "-": "unknown"} {
		if got := version(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
