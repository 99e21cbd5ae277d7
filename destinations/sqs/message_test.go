package sqs

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/ownbucket"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// store links to nothing, for as long as it is asked to or for life.
type store struct {
	url  string
	life time.Duration
	took time.Duration // until the link was made
}

func (s store) Put(context.Context, string, event.Payload) error { return nil }
func (s store) Link(_ context.Context, _, _ string, ttl time.Duration) (destination.Link, error) {
	if s.life != 0 {
		ttl = min(ttl, s.life)
	}
	end := time.Now().Truncate(time.Second).Add(ttl) // as signatures have it
	time.Sleep(s.took)
	return destination.Link{URL: s.url, Expires: end}, nil
}

func plain(payloads destination.PayloadStore, name string) *sender {
	q := &queue{name: name, named: true}
	return &sender{queue: q, payloads: &ownbucket.Store{PayloadStore: payloads}, catalogue: event.DefaultCatalogue(), ttl: 10 * time.Minute}
}

// TestThePointerIsWhatConsumersKnow compares with a message of the contract.
func TestThePointerIsWhatConsumersKnow(t *testing.T) {
	file, err := os.ReadFile("testdata/s3_payload.json")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, file); err != nil {
		t.Fatal(err)
	}
	var p pointer
	if err := json.Unmarshal(file, &p); err != nil {
		t.Fatal(err)
	}
	body, _ := json.Marshal(map[string]any{"type": "activity", "version": "2022-03-16", "user": map[string]any{"user_id": p.UserID, "reference_id": p.ReferenceID}, "data": []any{}})
	d := destinationtest.Delivery(t, 1, body)
	d.Event.Reference = p.Reference
	m, err := plain(store{url: p.URL}, "q").compose(context.Background(), 0, d, "id")
	if err != nil {
		t.Fatal(err)
	}
	if m.body != want.String() {
		t.Errorf("\n%s, want\n%s", m.body, want.String())
	}
}

func TestPointersNameTheUserOrNull(t *testing.T) {
	for body, want := range map[string]string{
		`{"type":"x"}`: `"user_id":null,"reference_id":null}`,
		`{"type":"x","user":{"user_id":"u","reference_id":null}}`:                                                                                   `"user_id":"u","reference_id":null}`,
		`{"type":"user_reauth","old_user":{"user_id":"o","reference_id":"a"},"new_user":{"user_id":"n","reference_id":"b"}}`:                        `"user_id":"n","reference_id":"b"}`,
		`{"type":"x","user":{"user_id":"<&>\u0000\u001b\ufffe` + "\uffff\u2028" + `é\"\\","reference_id":"😀"}}`:                                     `"user_id":"<&>\u0000\u001b\ufffe\uffff\u2028é\"\\","reference_id":"😀"}`,
		`{"type":"lab_report.completed","event_id":"e","data":{}}`:                                                                                  `"user_id":null,"reference_id":null}`,
		`{"type":"sleep","version":"2022-03-16","user":{"user_id":"u","reference_id":"r"},"data":[{"metadata":{"user_id":"no"}},{"user_id":"no"}]}`: `"user_id":"u","reference_id":"r"}`,
	} {
		got := pointTo(destinationtest.Delivery(t, 1, []byte(body)).Event, "u", time.Second)
		if !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
		if strings.ContainsFunc(got, forbidden) {
			t.Errorf("%s: SQS would refuse %q", body, got)
		}
	}
}

// TestExpiresInIsTrueAtSending, in whole seconds, never more than what is left.
func TestExpiresInIsTrueAtSending(t *testing.T) {
	for name, tt := range map[string]struct {
		store store
		want  int64
	}{
		"as asked":                              {store{}, 600},
		"signing took half a second":            {store{took: 500 * time.Millisecond}, 600},
		"signing took ten seconds":              {store{took: 10 * time.Second}, 590},
		"the credentials end in ninety seconds": {store{life: 90 * time.Second}, 89},
		"the payload ends in two seconds":       {store{life: 2 * time.Second}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(300 * time.Millisecond) // within a second
				m, err := plain(tt.store, "q").compose(context.Background(), 0, sleep(t, 1), "id")
				if err != nil {
					t.Fatal(err)
				}
				var p pointer
				if err := json.Unmarshal([]byte(m.body), &p); err != nil || p.ExpiresIn != tt.want {
					t.Errorf("expires_in is %d, want %d (%v)", p.ExpiresIn, tt.want, err)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		if _, err := plain(store{life: time.Second, took: time.Second}, "q").compose(context.Background(), 0, sleep(t, 1), "id"); err == nil {
			t.Error("a dead link was sent")
		}
	})
}

func TestOrderAndRepeatsOnFIFOQueues(t *testing.T) {
	for name, tt := range map[string]struct{ body, group string }{
		"the user":          {`{"type":"x","user":{"user_id":"u-1"}}`, "u-1"},
		"the type":          {`{"type":"x.y"}`, "x.y"},
		"an odd user":       {`{"type":"x","user":{"user_id":"a b"}}`, "c8687a08aa5d6ed2044328fa6a697ab8e96dc34291e8c2034ae8c38e6fcc6d65"},
		"a long user":       {`{"type":"x","user":{"user_id":"` + strings.Repeat("u", 129) + `"}}`, ""},
		"an odd type":       {`{"type":"é"}`, ""},
		"all that may come": {`{"type":"x","user":{"user_id":"!\"#$%&'()*+,-./:;<=>?@[\\]^_{|}~"}}`, `!"#$%&'()*+,-./:;<=>?@[\]^_{|}~`},
	} {
		d := destinationtest.Delivery(t, 1, []byte(tt.body))
		m, err := plain(store{}, "q.fifo").compose(context.Background(), 0, d, "id")
		if err != nil {
			t.Fatal(err)
		}
		if tt.group != "" && *m.group != tt.group {
			t.Errorf("%s: group %s, want %s", name, *m.group, tt.group)
		}
		if !idForm.MatchString(*m.group) || *m.dedup != d.ID {
			t.Errorf("%s: group %s, deduplication %s", name, *m.group, *m.dedup)
		}
		if m, _ := plain(store{}, "q").compose(context.Background(), 0, d, "id"); m.group != nil || m.dedup != nil {
			t.Errorf("%s: a standard queue is given %v %v", name, m.group, m.dedup)
		}
	}
}

// TestWhatNoQueueTakesIsRejected before it is sent, to the byte.
func TestWhatNoQueueTakesIsRejected(t *testing.T) {
	room := 0
	for name, a := range attributes(healthcheck(t, 1, 0)) {
		room += len(name) + len("String") + len(*a.StringValue)
	}
	for name, tt := range map[string]struct {
		d    destination.Delivery
		says string
	}{
		"a full mebibyte":   {healthcheck(t, 1, 1<<20-room), ""},
		"a byte more":       {healthcheck(t, 1, 1<<20-room+1), "1048577 bytes"},
		"a noncharacter":    {destinationtest.Delivery(t, 1, []byte(`{"type":"healthcheck","s":"`+"\uffff"+`"}`)), "U+FFFF"},
		"it, but escaped":   {destinationtest.Delivery(t, 1, []byte(`{"type":"healthcheck","s":"\uffff\u0000"}`)), ""},
		"a user of 2 MiB":   {destinationtest.Delivery(t, 1, []byte(`{"type":"x","user":{"user_id":"`+strings.Repeat("u", 2<<20)+`"}}`)), "bytes"},
		"a 2 MiB event":     {destinationtest.Delivery(t, 1, []byte(`{"type":"x","s":"`+strings.Repeat("u", 2<<20)+`"}`)), ""},
		"white space":       {destinationtest.Delivery(t, 1, []byte(" {\"type\":\r\n\t\"healthcheck\"}\n")), ""},
		"an odd type":       {destinationtest.Delivery(t, 1, []byte(`{"type":"`+"a\uffff"+`"}`)), ""},
		"invalid UTF-8":     {invalid(t), "UTF-8"},
		"a reference of \"": {sleep(t, 1), ""},
	} {
		m, err := plain(store{}, "q").compose(context.Background(), 0, tt.d, "id")
		class, _ := destination.ClassOf(err)
		switch {
		case tt.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.says == "" && m.size() > maxMessage:
			t.Errorf("%s: %d bytes", name, m.size())
		case tt.says != "" && (err == nil || class != destination.Rejected || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("%s: %v is %v, want rejected: %s", name, err, class, tt.says)
		}
		if m != nil && strings.ContainsFunc(*m.attributes["type"].StringValue, forbidden) {
			t.Errorf("%s: the attribute type is %q", name, *m.attributes["type"].StringValue)
		}
	}
}

func invalid(t *testing.T) destination.Delivery {
	d := healthcheck(t, 1, 0)
	d.Event.Body = []byte("{\"type\":\"healthcheck\",\"s\":\"\xff\"}")
	return d
}

func TestSplitKeepsOrderAndLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		sizes []int
		parts []int
	}{
		"none":             {nil, nil},
		"one":              {[]int{1}, []int{1}},
		"ten":              {[]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, []int{10}},
		"twelve":           {[]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, []int{10, 2}},
		"a mebibyte":       {[]int{1 << 19, 1 << 19}, []int{2}},
		"a byte more":      {[]int{1 << 19, 1<<19 + 1}, []int{1, 1}},
		"large in between": {[]int{5, 1 << 20, 5, 5}, []int{1, 1, 2}},
	} {
		var all []*message
		for _, n := range tt.sizes {
			all = append(all, &message{at: len(all), body: strings.Repeat("x", n)})
		}
		at := 0
		parts := split(all)
		for i, p := range parts {
			if i >= len(tt.parts) || len(p) != tt.parts[i] {
				t.Errorf("%s: part %d has %d", name, i, len(p))
			}
			for _, m := range p {
				if m.at != at {
					t.Errorf("%s: %d stands at %d", name, m.at, at)
				}
				at++
			}
		}
		if len(parts) != len(tt.parts) || at != len(all) {
			t.Errorf("%s: %d parts of %d in all", name, len(parts), at)
		}
	}
}
