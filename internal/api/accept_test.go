package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event/samples"
)

const sleep = `{"type":"sleep","user":{"user_id":"u1"},"data":[]}`

func TestEventIsAnsweredWhenStored(t *testing.T) {
	r := newRig(t, setup{})
	a := r.do("POST", "/v1/events", sleep, "dev-id: acme", "terra-reference: re\"f\\1", "terra-ordering-timestamp: 1780000000123")
	var v struct {
		ID, Reference string
		Deliveries    int
		Duplicate     bool
	}
	if a.into(t, &v); a.status != 202 || v.Reference != `re"f\1` || v.Deliveries != 2 || v.Duplicate {
		t.Fatalf("got %s", a)
	}
	var e eventView
	r.do("GET", "/v1/events/"+v.ID, "").into(t, &e)
	if e.Reference != v.Reference || e.Developer != "acme" || e.User != "u1" || !e.Ordering.Equal(time.UnixMilli(1780000000123)) {
		t.Errorf("stored as %+v", e)
	}
}

func TestBodyIsByteForByte(t *testing.T) {
	r := newRig(t, setup{})
	bodies := []string{
		sleep,
		" \n\t{ \"type\" :\t\"sleep\" , \"a\":1.0e0, \"b\": \"\\u0041\\/\" }\r\n",
		`{"type":"sleep","z":1,"a":{"z":1,"a":2,"z":3},"big":12345678901234567890.1234567890}`,
		`{"type":"é <&>","n":"\u0000","s":"\ud83d\ude00 😀"}`,
	}
	for _, name := range samples.Names() {
		body, err := samples.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(body))
	}
	for _, body := range bodies {
		if got := r.do("GET", "/v1/events/"+r.post(body)+"/body", ""); got.status != 200 || string(got.body) != body {
			t.Errorf("accepted %.100q, got back %s", body, got)
		}
	}
}

func TestAnswersToEvents(t *testing.T) {
	r := newRig(t, setup{maxBody: 1000})
	deep := strings.Repeat(`[`, 450) + strings.Repeat(`]`, 450)
	for name, c := range map[string]struct {
		body    string
		headers []string
		status  int
		code    string
	}{
		"accepted":                {sleep, []string{"dev-id: acme"}, 202, ""},
		"matches nobody":          {`{"type":"walk"}`, []string{"dev-id: initech"}, 202, ""},
		"empty reference":         {sleep, []string{"dev-id: acme", "terra-reference: "}, 202, ""},
		"identity encoding":       {sleep, []string{"dev-id: acme", "Content-Encoding: identity"}, 202, ""},
		"identity in other case":  {sleep, []string{"dev-id: acme", "Content-Encoding: Identity"}, 202, ""},
		"any content type":        {sleep, []string{"dev-id: acme", "Content-Type: text/plain"}, 202, ""},
		"deep":                    {`{"type":"a","d":` + deep + `}`, []string{"dev-id: acme"}, 202, ""},
		"as long as allowed":      {`{"type":"a","d":"` + strings.Repeat("x", 1000-19) + `"}`, []string{"dev-id: acme"}, 202, ""},
		"too long":                {`{"type":"a","d":"` + strings.Repeat("x", 1001-19) + `"}`, []string{"dev-id: acme"}, 413, "too_large"},
		"no developer":            {sleep, nil, 400, "missing_developer"},
		"empty developer":         {sleep, []string{"dev-id: "}, 400, "missing_developer"},
		"two developers":          {sleep, []string{"dev-id: acme", "dev-id: initech"}, 400, "invalid_header"},
		"unknown developer":       {sleep, []string{"dev-id: nobody"}, 404, "unknown_developer"},
		"developer in other case": {sleep, []string{"dev-id: ACME"}, 404, "unknown_developer"},
		"no body":                 {"", []string{"dev-id: acme"}, 400, "invalid_json"},
		"no JSON":                 {"hello", []string{"dev-id: acme"}, 400, "invalid_json"},
		"no object":               {"[]", []string{"dev-id: acme"}, 400, "invalid_json"},
		"two objects":             {sleep + sleep, []string{"dev-id: acme"}, 400, "invalid_json"},
		"truncated":               {sleep[:20], []string{"dev-id: acme"}, 400, "invalid_json"},
		"byte order mark":         {"\ufeff" + sleep, []string{"dev-id: acme"}, 400, "invalid_json"},
		"depth bomb":              {`{"type":"a","d":` + strings.Repeat(`[`, 900), []string{"dev-id: acme"}, 400, "invalid_json"},
		"invalid UTF-8":           {"{\"type\":\"a\",\"d\":\"\xff\xfe\"}", []string{"dev-id: acme"}, 400, "invalid_json"},
		"overlong UTF-8":          {"{\"type\":\"a\",\"d\":\"\xc0\xaf\"}", []string{"dev-id: acme"}, 400, "invalid_json"},
		"no type":                 {`{"user":{}}`, []string{"dev-id: acme"}, 400, "missing_type"},
		"type is a number":        {`{"type":1}`, []string{"dev-id: acme"}, 400, "missing_type"},
		"type twice":              {`{"type":"a","type":"a"}`, []string{"dev-id: acme"}, 400, "duplicate_key"},
		"type twice, escaped":     {`{"type":"a","\u0074ype":"a"}`, []string{"dev-id: acme"}, 400, "duplicate_key"},
		"user twice":              {`{"type":"a","user":{},"user":{}}`, []string{"dev-id: acme"}, 400, "duplicate_key"},
		"two references":          {sleep, []string{"dev-id: acme", "terra-reference: a", "terra-reference: b"}, 400, "invalid_header"},
		"ordering is a text":      {sleep, []string{"dev-id: acme", "terra-ordering-timestamp: now"}, 400, "invalid_ordering_timestamp"},
		"ordering is empty":       {sleep, []string{"dev-id: acme", "terra-ordering-timestamp: "}, 400, "invalid_ordering_timestamp"},
		"ordering has a sign":     {sleep, []string{"dev-id: acme", "terra-ordering-timestamp: +1780000000123"}, 400, "invalid_ordering_timestamp"},
		"ordering before 1970":    {sleep, []string{"dev-id: acme", "terra-ordering-timestamp: -62135596800000"}, 400, "invalid_ordering_timestamp"},
		"ordering has a fraction": {sleep, []string{"dev-id: acme", "terra-ordering-timestamp: 1780000000123.5"}, 400, "invalid_ordering_timestamp"},
		"ordering in seconds":     {sleep, []string{"dev-id: acme", "terra-ordering-timestamp: 1780000000"}, 400, "invalid_ordering_timestamp"},
		"ordering is zero":        {sleep, []string{"dev-id: acme", "terra-ordering-timestamp: 0"}, 400, "invalid_ordering_timestamp"},
		"ordering overflows":      {sleep, []string{"dev-id: acme", "terra-ordering-timestamp: 99999999999999999999"}, 400, "invalid_ordering_timestamp"},
		"empty key":               {sleep, []string{"dev-id: acme", "Idempotency-Key: "}, 400, "invalid_idempotency_key"},
		"key too long":            {sleep, []string{"dev-id: acme", "Idempotency-Key: " + strings.Repeat("k", 256)}, 400, "invalid_idempotency_key"},
		"gzip":                    {sleep, []string{"dev-id: acme", "Content-Encoding: gzip"}, 415, "unsupported_encoding"},
	} {
		before := r.stored()
		got := r.do("POST", "/v1/events", c.body, c.headers...)
		if got.status != c.status || got.code() != c.code {
			t.Errorf("%s: got %s, want %d %s", name, got, c.status, c.code)
		}
		want := before
		if c.status == 202 {
			want++
		}
		if after := r.stored(); after != want {
			t.Errorf("%s: %d events more in the store", name, after-before)
		}
	}
}

func TestIdempotencyKeyBelongsToTheDeveloper(t *testing.T) {
	r := newRig(t, setup{})
	key := "Idempotency-Key: k1"
	first := r.post(sleep, key, "terra-reference: first")
	again := r.do("POST", "/v1/events", sleep, "dev-id: acme", key, "terra-reference: second")
	if want := fmt.Sprintf(`{"id":%q,"reference":"first","deliveries":2,"duplicate":true}`+"\n", first); again.status != 200 || string(again.body) != want {
		t.Errorf("got  %swant %s", again, want)
	}
	if other := r.do("POST", "/v1/events", sleep+" ", "dev-id: acme", key); other.status != 422 || other.code() != "idempotency_mismatch" {
		t.Errorf("with another body: %s", other)
	}
	if other := r.do("POST", "/v1/events", sleep, "dev-id: initech", key); other.status != 202 {
		t.Errorf("of another developer: %s", other)
	}
}

func TestWhatMatchesNobodyCanBeFound(t *testing.T) {
	r := newRig(t, setup{})
	r.post(sleep)
	a := r.do("POST", "/v1/events", `{"type":"walk"}`, "dev-id: initech")
	var v struct{ ID string }
	a.into(t, &v)
	var list page[eventView]
	r.do("GET", "/v1/events?unmatched=true", "").into(t, &list)
	if len(list.Items) != 1 || list.Items[0].ID.String() != v.ID || len(list.Items[0].Destinations) != 0 {
		t.Errorf("found %+v, want %s", list, v.ID)
	}
}

func TestLimitsSayWhenToComeBack(t *testing.T) {
	r := newRig(t, setup{limits: ingest.Limits{Rate: 0.25}})
	r.post(sleep)
	a := r.do("POST", "/v1/events", sleep, "dev-id: acme")
	if a.status != 429 || a.code() != "limited" || a.header.Get("Retry-After") != "4" {
		t.Errorf("got %s, Retry-After %q, want 429 in 4 s", a, a.header.Get("Retry-After"))
	}
}

func TestDiskReserveIs503BeforeTheBodyIsRead(t *testing.T) {
	r := newRig(t, setup{reserve: 1 << 20, free: func() (uint64, error) { return 1 << 10, nil }})
	// The body is announced and never sent.
	got := r.raw("POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: acme\r\nContent-Length: 100\r\n\r\n")
	if got.status != 503 || got.code() != "unavailable" || got.header.Get("Retry-After") == "" {
		t.Errorf("got %s", got)
	}
	batch := r.do("POST", "/v1/events/batch", line(sleep))
	if batch.status != 503 || batch.code() != "unavailable" {
		t.Errorf("batch: got %s", batch)
	}
	if log := r.log.String(); strings.Contains(log, "request failed") {
		t.Errorf("a full disk fills the log: %s", log)
	}
}

func TestMetricCountsWhatBecameOfEvents(t *testing.T) {
	r := newRig(t, setup{limits: ingest.Limits{Rate: 2}})
	r.post(sleep, "Idempotency-Key: k")
	r.do("POST", "/v1/events", sleep, "dev-id: acme", "Idempotency-Key: k")
	r.do("POST", "/v1/events", sleep, "dev-id: acme")
	r.do("POST", "/v1/events", sleep, "dev-id: nobody")
	r.do("POST", "/v1/events/batch", lineOf("initech", sleep)+lineOf("nobody", sleep)+"x\n")
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	r.do("POST", "/v1/events", sleep, "dev-id: initech")
	metrics := string(r.do("GET", "/metrics", "").body)
	for result, n := range map[string]int{"accepted": 2, "duplicate": 1, "refused": 3, "limited": 1, "unavailable": 1} {
		if want := fmt.Sprintf("fantail_events_accepted_total{result=%q} %d\n", result, n); !strings.Contains(metrics, want) {
			t.Errorf("want %s in\n%s", want, metrics)
		}
	}
}

// What no store's state explains must reach the log, and no details the client.
func TestUnexpectedErrorsAreLoggedUnderAnID(t *testing.T) {
	r := newRig(t, setup{ingest: fixed{result: ingest.Result{Err: &ingest.Refusal{
		Status: 503, Code: "unavailable", Message: "the event could not be made durable", RetryAfter: 1, Cause: fmt.Errorf("sector 7: %w", store.ErrConflict),
	}}}})
	for _, path := range []string{"/v1/events", "/v1/events/batch"} {
		body := sleep
		if path == "/v1/events/batch" {
			body = line(sleep)
		}
		got := r.do("POST", path, body, "dev-id: acme")
		_, id, found := strings.Cut(strings.TrimRight(string(got.body), "\"}\n"), "under ")
		if !found || strings.Contains(string(got.body), "sector 7") {
			t.Fatalf("%s: got %s", path, got)
		}
		if log := r.log.String(); !strings.Contains(log, id) || !strings.Contains(log, "sector 7") {
			t.Errorf("%s: %s is not in the log %s", path, id, log)
		}
	}
}

// TestProducersAreSlowedDownWhileTheDaemonIsBehind, and refused when that has not helped.
func TestProducersAreSlowedDownWhileTheDaemonIsBehind(t *testing.T) {
	for path, c := range map[string]struct {
		body     string
		requests int
		rate     float64
	}{
		"/v1/events":       {sleep, 2, 12},                            // the second waits for the first
		"/v1/events/batch": {strings.Repeat(line(sleep), 65), 1, 600}, // the second chunk
	} {
		behind := 3 * time.Second
		r := newRig(t, setup{pace: &ingest.Pace{Behind: func() (time.Duration, float64) { return behind, c.rate }, Most: 2 * time.Second}})
		began := time.Now()
		for range c.requests {
			if got := r.do("POST", path, c.body, "dev-id: acme"); got.status/100 != 2 {
				t.Errorf("%s: %s", path, got)
			}
		}
		if took := time.Since(began); took < 100*time.Millisecond {
			t.Errorf("%s: %v", path, took)
		}
		behind = 21 * time.Second
		got := r.do("POST", path, c.body, "dev-id: acme")
		if got.status != 503 || got.code() != "behind" || got.header.Get("Retry-After") != "2" {
			t.Errorf("%s: far behind: %s", path, got)
		}
		if metrics := string(r.do("GET", "/metrics", "").body); !strings.Contains(metrics, "fantail_intake_refused_total{bound=\"lag\"} 1\n") {
			t.Errorf("%s: not counted: %s", path, metrics)
		}
	}
}

// TestABatchThatFallsFarBehind is told so line by line, from there on.
func TestABatchThatFallsFarBehind(t *testing.T) {
	asked := 0
	r := newRig(t, setup{pace: &ingest.Pace{Most: time.Second, Behind: func() (time.Duration, float64) {
		if asked++; asked > 2 { // once for the request, once for each chunk
			return time.Minute, 1000
		}
		return 0, 1000
	}}})
	got := string(r.do("POST", "/v1/events/batch", strings.Repeat(line(sleep), 66)).body)
	taken, refused := strings.Count(got, `"status":202`), strings.Count(got, `"code":"behind"`)
	if taken == 0 || refused == 0 || taken+refused != 66 || r.stored() != taken {
		t.Errorf("%d taken, %d refused, %d stored", taken, refused, r.stored())
	}
}
