package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// source is where events come from.
type source struct {
	args    []string // of fantail ingest
	env     []string
	send    func(t *testing.T, bodies []string)
	left    func(t *testing.T) int // messages that are not done
	disturb func()                 // harms the source; nil: nothing does
}

func TestIngestSQS(t *testing.T) {
	s := servers.StartSQS(t)
	c := sqs.New(sqs.Options{Region: s.Region, BaseEndpoint: &s.Endpoint, Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, "")})
	made, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(servers.Name())})
	if err != nil {
		t.Fatal(err)
	}
	ingested(t, source{
		args: []string{"sqs", "--queue", *made.QueueUrl, "--endpoint", s.Endpoint, "--region", s.Region, "--visibility", "10s", "--developer", "acme"},
		env:  []string{"AWS_ACCESS_KEY_ID=" + s.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.SecretKey, "AWS_EC2_METADATA_DISABLED=true"},
		send: func(t *testing.T, bodies []string) {
			for _, body := range bodies {
				if _, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: &body}); err != nil {
					t.Fatal(err)
				}
			}
		},
		left: func(t *testing.T) int {
			out, err := c.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{"All"}})
			if err != nil {
				t.Fatal(err)
			}
			var shown, held int
			fmt.Sscan(out.Attributes["ApproximateNumberOfMessages"], &shown)
			fmt.Sscan(out.Attributes["ApproximateNumberOfMessagesNotVisible"], &held)
			return shown + held
		},
	})
}

// TestIngestKafka reads from a broker in this process; with FANTAIL_TEST_KAFKA=real from Kafka itself,
// which is killed as well.
func TestIngestKafka(t *testing.T) {
	const partitions = 3
	var brokers []string
	var disturb func()
	switch os.Getenv("FANTAIL_TEST_KAFKA") {
	case "real":
		k := servers.PrivateKafka(t)
		brokers, disturb = []string{k.DSN}, func() { k.Kill(); k.Start() }
	case "":
		c, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		brokers = c.ListenAddrs()
	default:
		t.Fatal("FANTAIL_TEST_KAFKA is neither empty nor real")
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	create := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "events", partitions, 1
	create.Topics = append(create.Topics, topic)
	until(t, "the topic is made", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		answer, err := create.RequestWith(ctx, c)
		return err == nil && len(answer.Topics) == 1 && (answer.Topics[0].ErrorCode == 0 || answer.Topics[0].ErrorCode == 36) // 36: it is there
	})
	sent := 0
	ingested(t, source{
		args: []string{"kafka", "--brokers", strings.Join(brokers, ","), "--topics", "events", "--group", "fantail"},
		send: func(t *testing.T, bodies []string) {
			var records []*kgo.Record
			for _, body := range bodies {
				records = append(records, &kgo.Record{Topic: "events", Value: []byte(body), Headers: []kgo.RecordHeader{{Key: "dev-id", Value: []byte("acme")}}})
			}
			if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			sent += len(bodies)
		},
		left:    func(t *testing.T) int { return sent - committed(t, c, "fantail") },
		disturb: disturb,
	})
}

// committed sums the offsets of a group.
func committed(t *testing.T, c *kgo.Client, name string) (sum int) {
	t.Helper()
	request := kmsg.NewPtrOffsetFetchRequest()
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = name
	request.Groups, request.Group = append(request.Groups, group), name
	answer, err := request.RequestWith(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range answer.Groups {
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				sum += int(max(p.Offset, 0))
			}
		}
	}
	return sum
}

// ingested has the command take events while it, the daemon and the source are killed, and compares
// what the daemon has with what was sent.
func ingested(t *testing.T, s source) {
	h := newHome(t)
	address := servers.Address(t)
	h.write("fantail.yaml", "listen: "+address+"\nstore: { pebble: { dir: store } }\nshutdown_grace: 2s\n")
	h.write("developers/acme.yaml", "developer: acme\n")
	d := h.serve(address)
	const part = 100
	var bodies []string
	more := func() {
		next := make([]string, part)
		for i := range next {
			next[i] = fmt.Sprintf(`{"type":"x","n":%d}`, len(bodies)+i)
		}
		s.send(t, next)
		bodies = append(bodies, next...)
	}
	has := func(n int) func() bool { return func() bool { return events(t, d.Client) >= n } }

	more()
	run := s.start(t, address)
	until(t, "some are taken", has(1))
	more()
	run.kill()
	more()
	run = s.start(t, address)
	until(t, "some more are taken", has(events(t, d.Client)+1))
	more()
	d.crash()
	d = h.serve(address)
	until(t, "it goes on after the daemon died", has(len(bodies)-part+1))
	if s.disturb != nil {
		more()
		s.disturb()
		more()
	}
	until(t, "all are taken", has(len(bodies)))
	until(t, "the source is done", func() bool { return s.left(t) == 0 })
	if err := run.end(); err != nil {
		t.Errorf("told to stop, it ended with %v", err)
	}

	var got []string
	for e, err := range d.Events(t.Context(), client.EventFilter{Developer: "acme"}) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := d.EventBody(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(body))
	}
	slices.Sort(got)
	slices.Sort(bodies)
	if !slices.Equal(got, bodies) {
		t.Errorf("%d events were sent, the daemon has %d", len(bodies), len(got))
	}
}

func events(t *testing.T, c *client.Client) (n int) {
	t.Helper()
	for _, err := range c.Events(t.Context(), client.EventFilter{Developer: "acme"}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// ingesting is fantail ingest in a process of its own.
type ingesting struct {
	kill func()       // as kill -9 does
	end  func() error // tells it to stop, and waits
}

func (s source) start(t *testing.T, daemon string) ingesting {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"ingest"}, s.args...)...)
	cmd.Env = append(append(os.Environ(), asProgram+"=1", "FANTAIL_SERVER=http://"+daemon), s.env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	done := false
	wait := func() (err error) {
		if !done {
			err, done = <-ended, true
		}
		return err
	}
	kill := func() { _ = cmd.Process.Kill(); _ = wait() }
	t.Cleanup(func() {
		kill()
		if t.Failed() {
			t.Logf("ingest said:\n%s", &said)
		}
	})
	return ingesting{kill, func() error { _ = cmd.Process.Signal(syscall.SIGTERM); return wait() }}
}
