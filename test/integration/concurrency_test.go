package integration

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
	"github.com/seed-51f8da91/fantail/test/servers/supabase"
)

// shared are the places that two daemons write to at once: tables, buckets and a queue of one
// customer. S3 is our own handler, which answers one request after the other as S3 does for one key:
// versitygw may show the metadata of one version of an object with the ETag of another.
type shared struct {
	rows map[string]func() tablesRows // by destination
	s3   *strictaws.Server
	gcs  servers.GCS
	in   string // the bucket of Cloud Storage
	queue
	settings string // of the developer
}

const sharedBucket = "objects"

func newShared(t *testing.T) *shared {
	t.Helper()
	s := &shared{rows: map[string]func() tablesRows{}, s3: strictaws.New(t), gcs: servers.StartGCS(t)}
	s.s3.AddBucket(strictaws.Bucket{Name: sharedBucket})
	s.in = s.gcs.Bucket(t)
	light := servers.StartSQS(t)
	s.queue = newQueue(t, light.Endpoint, light.Region, light.AccessKey, light.SecretKey, "")

	var b strings.Builder
	b.WriteString("developer: acme\ndestinations:\n")
	add := func(kind, settings string, args ...any) {
		fmt.Fprintf(&b, "  - { name: %s, kind: %[1]s, timeout: 10s, retry: { waits: [20ms, 50ms%s] }, settings: { %s } }\n",
			kind, strings.Repeat(", 200ms", 98), fmt.Sprintf(settings, args...))
	}
	postgres := servers.StartPostgres(t)
	add("postgres", "dsn: '%s'", plainDSN(t, postgres.DSN))
	s.rows["postgres"] = func() tablesRows { return sqlRows(t, admin(t, "pgx", postgres.DSN), "terra_") }

	mysql := servers.StartMySQL(t)
	c, err := mysqldriver.ParseDSN(mysql.DSN)
	if err != nil {
		t.Fatal(err)
	}
	add("mysql", "dsn: 'mysql://%s:%s@%s/%s?ssl-mode=DISABLED'", c.User, url.QueryEscape(c.Passwd), c.Addr, c.DBName)
	s.rows["mysql"] = func() tablesRows { return sqlRows(t, admin(t, "mysql", mysql.DSN), "terra_") }

	project := servers.StartPostgres(t)
	p := supabase.On(t, project.DSN)
	add("supabase", "url: '%s', allow_http: true, service_role_key: '%s', complete: { dsn: '%s' }", p.URL, p.Key, project.DSN)
	s.rows["supabase"] = func() tablesRows { return supabaseRows(t, admin(t, "pgx", project.DSN), p, "terra_") }

	add("s3", "bucket: %s, endpoint: %q, allow_http: true, region: %s, access_key_id: %s, secret_access_key: %q", sharedBucket, s.s3.URL, s.s3.Region, strictaws.AccessKey, strictaws.SecretKey)
	add("gcs", "bucket: %s, endpoint: %q, allow_http: true, anonymous: true", s.in, s.gcs.Endpoint)
	add("sqs", "queue: %s, endpoint: %q, allow_http: true, region: %s, access_key_id: %q, secret_access_key: %q", s.name, light.Endpoint, light.Region, light.AccessKey, light.SecretKey)
	s.settings = b.String()
	return s
}

// plainDSN is dsn without parameters that only one library understands.
func plainDSN(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = "sslmode=disable"
	return u.String()
}

// Two daemons, each with a store of its own, write about the same users and items to the same places,
// and much of it is older than what is there. The end is as if the same events had come one after the
// other. FANTAIL_TOGETHER says how long it goes on; without it, a fixed number of events is sent.
func TestTwoDaemonsTogetherComeToTheSameEnd(t *testing.T) {
	const some = 600
	s := newShared(t)
	payloads, _, _ := newS3(t)
	load := &sharedLoad{base: time.Now().Add(-2 * time.Hour).Truncate(time.Second)}
	load.more = func(n int64) bool { return n < some }
	if text := os.Getenv("FANTAIL_TOGETHER"); text != "" {
		long, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		end := time.Now().Add(long)
		load.more = func(int64) bool { return time.Now().Before(end) }
	}
	var daemons [2]*process
	for i := range daemons {
		h, listen := newHome(t), servers.Address(t)
		h.write("fantail.yaml", fmt.Sprintf("listen: %s\nstore: { pebble: { dir: store } }\negress: { allow: [127.0.0.1/32] }\nlimits: { per_developer: { shortest_wait: 1ms } }\n%s", listen, payloads))
		h.write("developers/acme.yaml", s.settings)
		daemons[i] = h.serve(listen)
	}
	began := time.Now()
	load.run(t, daemons)
	took := time.Since(began)

	var events []*sent
	traces := map[string]*sent{}
	for i, d := range daemons {
		d.settles(t)
		for _, row := range d.balanced(t) {
			if n := int64(len(load.events[i])); row.Accepted != n || row.Delivered != n {
				t.Errorf("daemon %d, %s: %d accepted, %d delivered, want %d of both", i, row.Destination, row.Accepted, row.Delivered, n)
			}
		}
		events = append(events, load.events[i]...)
		maps.Copy(traces, d.traces(t, "sqs", load.events[i]))
	}
	t.Logf("%d events in %v, settled in %v", len(events), took.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	s.hasTheEndOf(t, events, traces)
	for _, d := range daemons {
		if err := d.stop(); err != nil {
			t.Errorf("the daemon stopped with %v", err)
		}
	}
}

// settles waits until nothing is pending. It gives up when nothing moves any more.
func (d *daemon) settles(t *testing.T) {
	t.Helper()
	last, since := int64(-1), time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		switch n := d.pending(t.Context()); {
		case n == 0:
			return
		case n != last:
			last, since = n, time.Now()
		case time.Since(since) > patience:
			for delivery, err := range d.Deliveries(t.Context(), client.DeliveryFilter{Developer: "acme", States: []string{"pending"}}) {
				if err != nil {
					t.Fatal(err)
				}
				full, err := d.Delivery(t.Context(), delivery.ID)
				t.Fatalf("%d deliveries are pending, and none moved for %v; the last one: %+v %v", n, patience, full, err)
			}
		}
		<-tick.C
	}
}

func (d *daemon) pending(ctx context.Context) (n int64) {
	rows, err := d.Audit(ctx, false)
	if err != nil {
		return -1
	}
	for _, r := range rows {
		n += r.Pending
	}
	return n
}

// sharedLoad is producers that hand the events of one sequence to two daemons.
type sharedLoad struct {
	base   time.Time
	more   func(n int64) bool
	next   atomic.Int64
	mu     sync.Mutex
	events [2][]*sent // by daemon
}

const (
	sharedProducers = 4   // of each daemon
	sharedBacklog   = 600 // deliveries pending at one daemon: then its producers wait
)

func (l *sharedLoad) run(t *testing.T, daemons [2]*process) {
	var all sync.WaitGroup
	for i, d := range daemons {
		for range sharedProducers {
			all.Go(func() { l.produce(t, i, d.daemon) })
		}
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func (l *sharedLoad) produce(t *testing.T, i int, d *daemon) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for d.pending(t.Context()) > sharedBacklog {
			<-tick.C
		}
		for range 8 {
			n := l.next.Add(1) - 1
			if !l.more(n) {
				return
			}
			// The order is shuffled within 64 neighbours, so that older events often come later, from the same
			// daemon and from the other. Every two share a time.
			at := (n&^63 | (n*37+11)&63) &^ 1
			e := &sent{name: fmt.Sprint("event ", n), body: sharedBody(n), ordering: l.base.Add(time.Duration(at) * time.Millisecond), reference: fmt.Sprint("reference-", n)}
			a, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: e.body, Reference: e.reference, Ordering: e.ordering})
			if err != nil {
				t.Errorf("send %s: %v", e.name, err)
				return
			}
			e.id = a.ID
			l.mu.Lock()
			l.events[i] = append(l.events[i], e)
			l.mu.Unlock()
		}
	}
}

// sharedBody is the nth body: five users, a few activities, nights and days of each,
// again and again with other contents, and what changes their states.
func sharedBody(n int64) []byte {
	r := n / 10
	id := fmt.Sprintf("user-%d", r%5)
	user := fmt.Sprintf(`{"user_id":%q,"provider":"P%d","reference_id":"r%d","scopes":"a,%d"}`, id, n%3, n, n)
	silent := fmt.Sprintf(`{"user_id":%q,"provider":null,"reference_id":null}`, id)
	item := func(summary, start string) string {
		return fmt.Sprintf(`{"metadata":{"summary_id":%q,"start_time":%q,"end_time":"2026-07-31T23:00:00.000000Z"},"n":%d.50}`, summary, start, n)
	}
	data := func(kind, user string, items ...string) []byte {
		return fmt.Appendf(nil, `{"type":%q,"version":"2022-03-16","user":%s,"data":[%s]}`, kind, user, strings.Join(items, " , "))
	}
	day := func(i int64) string { return fmt.Sprintf("2026-07-%02dT01:00:00.000000+02:00", 2+i%3) }
	switch n % 10 {
	case 0, 1:
		return data("activity", user, item(fmt.Sprint("run-", r%3), day(r)))
	case 2: // of the same second as the other one, and another activity
		return data("activity", silent, item(fmt.Sprint("leg-", r%3), day(r)))
	case 3, 4:
		return data("daily", silent, item("", day(r)))
	case 5:
		return data("sleep", user, item("night-a", day(0)), item("night-b", day(1)), item("night-c", day(2)))
	case 6:
		return fmt.Appendf(nil, `{"type":"auth","status":"success","user":%s}`, user)
	case 7:
		return fmt.Appendf(nil, `{"type":"deauth","user":%s,"n":%d}`, silent, n)
	case 8:
		return fmt.Appendf(nil, `{"type":"user_reauth","status":"success","old_user":%s,"new_user":{"user_id":"user-%d"}}`, user, (r+1)%5)
	}
	return fmt.Appendf(nil, `{"type":"auth","status":"error","message":"denied","user":%s}`, silent)
}

// hasTheEndOf compares every place with what the events make of it in their order.
func (s *shared) hasTheEndOf(t *testing.T, events []*sent, traces map[string]*sent) {
	for destination, read := range s.rows {
		written := asItWas
		if destination == "supabase" {
			written = instant(t)
		}
		wantPayloads, wantUsers := map[string]payloadRow{}, map[string]userRow{}
		for _, e := range events {
			e.payloadRows(t, written, wantPayloads)
			e.tellUsers(t, wantUsers)
		}
		t.Run(destination, func(t *testing.T) {
			there := read()
			samePayloads(t, there.payloads, wantPayloads)
			sameUsers(t, there.users, wantUsers)
		})
	}
	t.Run("s3", func(t *testing.T) {
		there := map[string]stored{}
		for _, o := range s.s3.Objects(sharedBucket) {
			there[o.Key] = stored{o.ContentType, o.Metadata, o.Body}
		}
		isWhatIsWanted(t, "S3", there, events)
	})
	t.Run("gcs", func(t *testing.T) { isWhatIsWanted(t, "GCS", inGCS(t, s.gcs, s.in), events) })
	t.Run("sqs", func(t *testing.T) {
		messages, _ := areMessages(t, "queue", s.receive(t), traces)
		for _, m := range messages {
			if body := fetched(t, m.link); body != string(m.event.body) {
				t.Errorf("the link of %s answers %.200q", m.event.name, body)
			}
		}
	})
}
