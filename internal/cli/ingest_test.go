package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// oneRecord is a broker with one record.
func oneRecord(t *testing.T) string {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.ProduceSync(t.Context(), &kgo.Record{Topic: "events", Value: []byte(`{"type":"x"}`)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return c.ListenAddrs()[0]
}

// What ingest says when a message is refused, while the daemon is busy, and when it is told to stop.
func TestGoldenIngest(t *testing.T) {
	const batch = "POST /v1/events/batch"
	broker := oneRecord(t)
	line := "ingest kafka --brokers " + broker + " --topics events --group g --developer acme"
	steady := func(text string) string {
		return regexp.MustCompile(`again in \d+ms`).ReplaceAllString(strings.ReplaceAll(text, broker, "BROKER"), "again in SOME ms")
	}
	told := func(waits int) picture { return picture{steady: steady, waits: waits} }
	refusal := `{"line":1,"status":404,"error":{"code":"unknown_developer","message":"there is no such developer"}}` + "\n"
	busy := `{"line":1,"status":429,"error":{"code":"limited","message":"the developer hands in more events a second than are allowed"}}` + "\n"
	album(t, "usual ingest", map[string]picture{
		"refused":          worked(line, told(0), always(batch, say(refusal))),
		"refused, as JSON": worked(line+" --json", told(0), always(batch, say(refusal))),
		"busy, stopped":    worked(line, told(2), always(batch, say(busy))),
		"a wrong token":    worked(line, told(0), always(batch, deny(401, "unauthorized", "a valid bearer token is needed"))),
	})
	album(t, "hostile ingest", map[string]picture{
		"refused":       worked(line, told(0), always(batch, evil(`{"line":1,"status":404,"error":{"code":"BAD","message":"BAD"}}`+"\n"))),
		"busy, stopped": worked(line, told(2), always(batch, refuse(503))),
		"a wrong token": worked(line, told(0), always(batch, refuse(401))),
	})
}

func TestIngestRefusesWrongUsage(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kafka := "ingest kafka --brokers k:9092 --topics a --group g "
	for _, tc := range []struct {
		args, want string
		code       int
	}{
		{"ingest skq", `got 1 argument, want "fantail ingest COMMAND`, 2},
		{"ingest sqs", `required flag(s) "queue" not set`, 2},
		{"ingest sqs --queue events", "want the URL of a queue", 2},
		{"ingest sqs --queue https://x/y --visibility 1s", "from 10s to 12h", 2},
		{"ingest sqs --queue https://x/y --receivers 0", "from 1 to 64", 2},
		{"ingest sqs --queue https://x/y --dead-letter a --dead-letter-queue b", "one place", 2},
		{"ingest kafka --brokers k --topics a --group g", "want host:port", 2},
		{"ingest kafka --brokers k:1 --topics a --group=", "must not be empty", 2},
		{kafka + "--tls-ca x", "go with --tls", 2},
		{kafka + "--tls --tls-cert x", "go together", 2},
		{kafka + "--tls --tls-ca " + empty, "holds no certificate", 1},
		{kafka + "--sasl-user me", "go with --sasl", 2},
		{kafka + "--sasl scram-sha-256 --sasl-user me", "FANTAIL_KAFKA_PASSWORD", 2},
		{kafka + "--sasl scram-sha-256 --sasl-user me --sasl-password-file " + empty, "is empty", 1},
		{kafka + "--sasl plain --sasl-user me --sasl-password-file " + write(t, "p", "secret"), "give --tls", 2},
		{kafka + "--sasl gssapi --sasl-user me --sasl-password-file " + write(t, "p", "secret"), "want plain", 2},
	} {
		r := trial{}.run(t, strings.Fields(tc.args)...)
		if r.code != tc.code || r.out != "" || !strings.Contains(r.err, tc.want) || strings.Contains(r.err, "secret") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q, want %d, %q", tc.args, r.code, r.out, r.err, tc.code, tc.want)
		}
	}
}
