package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// outcome is a result of one line in short.
type outcome struct {
	Line, Status int
	ID           string
	Duplicate    bool
	Error        problemText
}

func (o outcome) String() string {
	if o.ID != "" {
		return fmt.Sprint(o.Line, " ", o.Status, " ", o.Duplicate)
	}
	return fmt.Sprint(o.Line, " ", o.Status, " ", o.Error.Code)
}

func outcomes(t *testing.T, body []byte) (short []string, all []outcome) {
	t.Helper()
	for _, line := range results(body) {
		var o outcome
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		short, all = append(short, o.String()), append(all, o)
	}
	return short, all
}

func TestBatchLinesStandAlone(t *testing.T) {
	r := newRig(t, setup{})
	body := `{"dev_id":"acme","reference":"r1","ordering_timestamp":1780000000123,"idempotency_key":"k","event": {"type" : "sleep", "x":"é}"} }` + "\n" +
		"\n" +
		"not JSON\n" +
		lineOf("nobody", sleep) +
		`{"event":{"type":"sleep"}}` + "\n" +
		line(`{"type":"a","type":"b"}`) +
		line(`{"type":"a"`+"\xff") +
		`{"dev_id":"acme","idempotency_key":"k","event":{"type" : "sleep", "x":"é}"}}` + "\n" +
		`{"dev_id":"acme","idempotency_key":"k","event":{"type":"sleep"}}` + "\n" +
		`{"dev_id":"acme","reference":"a b","event":{"type":"sleep"}}` + "\n" +
		strings.TrimSuffix(lineOf("initech", `{"type":"last"}`), "\n")
	a := r.do("POST", "/v1/events/batch", body)
	got, all := outcomes(t, a.body)
	want := []string{
		"1 202 false", "3 400 invalid_json", "4 404 unknown_developer", "5 400 missing_developer", "6 400 duplicate_key",
		"7 400 invalid_json", "8 200 true", "9 422 idempotency_mismatch", "10 202 false", "11 202 false",
	}
	if a.status != 200 || !slices.Equal(got, want) {
		t.Fatalf("status %d\ngot  %q\nwant %q", a.status, got, want)
	}
	if all[6].ID != all[0].ID {
		t.Error("the duplicate does not name the first")
	}
	var e eventView
	r.do("GET", "/v1/events/"+all[0].ID, "").into(t, &e)
	if e.Reference != "r1" || e.Ordering.UnixMilli() != 1780000000123 {
		t.Errorf("stored as %+v", e)
	}
	if got := r.do("GET", "/v1/events/"+all[0].ID+"/body", ""); string(got.body) != `{"type" : "sleep", "x":"é}"}` {
		t.Errorf("body %s", got)
	}
	if n := r.stored(); n != 3 {
		t.Errorf("%d events stored, want 3", n)
	}
}

func TestBatchEndsAtItsLimits(t *testing.T) {
	t.Run("lines", func(t *testing.T) {
		r := newRig(t, setup{})
		a := r.do("POST", "/v1/events/batch", strings.Repeat("\n"+line(`{"type":"a"}`), 1010))
		got, _ := outcomes(t, a.body)
		if len(got) != 1001 || got[999] != "2000 202 false" || got[1000] != "2002 413 too_large" || r.stored() != 1000 {
			t.Errorf("%d results, the last two %q, %d stored", len(got), got[len(got)-2:], r.stored())
		}
	})
	t.Run("bytes", func(t *testing.T) {
		r := newRig(t, setup{maxBody: 1000})
		one := line(`{"type":"a","d":"` + strings.Repeat("x", 300) + `"}`)
		a := r.do("POST", "/v1/events/batch", strings.Repeat(one, 5))
		if got, _ := outcomes(t, a.body); !slices.Equal(got, []string{"1 202 false", "2 202 false", "3 413 too_large"}) || r.stored() != 2 {
			t.Errorf("got %q, %d stored", got, r.stored())
		}
	})
	t.Run("one line", func(t *testing.T) {
		r := newRig(t, setup{maxBody: 1000})
		a := r.do("POST", "/v1/events/batch", line(`{"type":"a","d":"`+strings.Repeat("x", 3000)+`"}`))
		if got, _ := outcomes(t, a.body); !slices.Equal(got, []string{"1 413 too_large"}) || r.stored() != 0 {
			t.Errorf("got %q, %d stored", got, r.stored())
		}
	})
	t.Run("nothing", func(t *testing.T) {
		r := newRig(t, setup{})
		for _, body := range []string{"", "\n", " \r\n\n"} {
			if a := r.do("POST", "/v1/events/batch", body); a.status != 400 || a.code() != "empty_batch" {
				t.Errorf("%q: got %s", body, a)
			}
		}
	})
	t.Run("compressed", func(t *testing.T) {
		r := newRig(t, setup{})
		if a := r.do("POST", "/v1/events/batch", line(sleep), "Content-Encoding: gzip"); a.status != 415 {
			t.Errorf("got %s", a)
		}
	})
}

func TestBatchCommitsInChunks(t *testing.T) {
	large := line(`{"type":"a","d":"` + strings.Repeat("x", 400<<10) + `"}`)
	for name, c := range map[string]struct {
		body           string
		events, chunks int // how many chunks at most
		largest        int // events of a chunk
	}{
		"small": {strings.Repeat(line(sleep), 1000), 1000, 80, 64},
		"large": {strings.Repeat(large, 9), 9, 9, 3},
	} {
		var sizes []int
		r := newRig(t, setup{maxBody: 8 << 20, ingest: fixed{accept: func(rs []ingest.Request) { sizes = append(sizes, len(rs)) }}})
		req, _ := http.NewRequestWithContext(t.Context(), "POST", r.server.URL+"/v1/events/batch", strings.NewReader(c.body))
		res, err := r.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, n := range sizes {
			total += n
		}
		if total != c.events || len(results(body)) != c.events || len(sizes) > c.chunks || slices.Max(sizes) > c.largest {
			t.Errorf("%s: %d events in chunks of %v, %d results", name, total, sizes, len(results(body)))
		}
	}
}

// A line is answered, not sent back: a name in it may be all of the batch.
func TestBatchAnswersBrieflyToLongNames(t *testing.T) {
	r := newRig(t, setup{})
	name := strings.Repeat(`\u0001`, 10_000)
	for body, want := range map[string]string{
		`{"` + name + `":1}`: "1 400 unknown_field",
		`{"` + name + `":[`:  "1 400 invalid_json",
	} {
		a := r.do("POST", "/v1/events/batch", body)
		if got, _ := outcomes(t, a.body); !slices.Equal(got, []string{want}) || len(a.body) > 1000 {
			t.Errorf("got %q in %d bytes, want %q in a few hundred", got, len(a.body), want)
		}
	}
}

// A sender that waits for an answer before it sends the next line gets it.
func TestBatchAnswersWhileItReads(t *testing.T) {
	r := newRig(t, setup{})
	in, out := io.Pipe()
	defer out.Close()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", r.server.URL+"/v1/events/batch", in)
	answers := make(chan *http.Response, 1)
	go func() {
		res, err := r.server.Client().Do(req)
		if err != nil {
			t.Error(err)
		}
		answers <- res
	}()
	var body *bufio.Reader
	for i := range 5 {
		send(out, line(sleep))
		if body == nil {
			res := <-answers
			if res == nil {
				t.FailNow()
			}
			defer res.Body.Close()
			body = bufio.NewReader(res.Body)
		}
		got, err := body.ReadString('\n')
		if err != nil || !strings.HasPrefix(got, fmt.Sprintf(`{"line":%d,"status":202,`, i+1)) {
			t.Fatalf("line %d: %q, %v", i+1, got, err)
		}
	}
	out.Close()
	if rest, err := io.ReadAll(body); err != nil || len(rest) != 0 {
		t.Errorf("then %q, %v", rest, err)
	}
}

// What was answered stands; what was cut short is not stored, even when the
// part that came would be an event.
func TestCutBatchKeepsWhatWasAnswered(t *testing.T) {
	r := newRig(t, setup{})
	conn := r.dial()
	first := line(sleep)
	send(conn, fmt.Sprintf("POST /v1/events/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s", 2*len(first), first))
	in := bufio.NewReader(conn)
	for {
		got, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(got, `{"line":1,"status":202,`) {
			break
		}
	}
	send(conn, strings.TrimSuffix(first, "\n"))
	conn.Close()
	<-r.closed
	if n := r.stored(); n != 1 {
		t.Errorf("%d events stored, want 1", n)
	}
	if log := r.log.String(); log != "" && strings.Contains(log, "request") {
		t.Errorf("log %s", log)
	}
}

func TestBatchTellsEachLineWhenTheStoreStops(t *testing.T) {
	r := newRig(t, setup{ingest: fixed{result: ingest.Result{Err: &ingest.Refusal{
		Status: 503, Code: "unavailable", Message: "store stalled", Cause: &store.Unavailable{Reason: "store stalled"},
	}}}})
	a := r.do("POST", "/v1/events/batch", line(sleep)+"x\n"+line(sleep))
	if got, _ := outcomes(t, a.body); !slices.Equal(got, []string{"1 503 unavailable", "2 400 invalid_json", "3 503 unavailable"}) {
		t.Errorf("got %q", got)
	}
}
