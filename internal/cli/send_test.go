package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// intake is the accepting half of a fake daemon: it knows idempotency keys.
type intake struct {
	mu     sync.Mutex
	keys   map[string]string // event by key
	bodies []string
	lines  []int // of each batch
}

func (in *intake) accept(key, body string) (id string, duplicate bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if id, ok := in.keys[key]; ok {
		return id, true
	}
	in.bodies = append(in.bodies, body)
	id = fmt.Sprintf("event-%d", len(in.bodies))
	in.keys[key] = id
	return id, false
}

func (in *intake) single(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !json.Valid(body) {
		deny(400, "invalid_json", "not JSON\x1b[2J")(w, r)
		return
	}
	id, duplicate := in.accept(r.Header.Get("Idempotency-Key"), string(body))
	fmt.Fprintf(w, `{"id":%q,"reference":"r","deliveries":2,"duplicate":%v}`, id, duplicate)
}

// batch answers line by line; cut ends the connection after that many lines, 0 never.
func (in *intake) batch(cut int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := bufio.NewScanner(r.Body)
		s.Buffer(nil, 1<<24)
		n := 0
		defer func() {
			in.mu.Lock()
			in.lines = append(in.lines, n)
			in.mu.Unlock()
		}()
		for s.Scan() {
			n++
			var line struct {
				Dev   string          `json:"dev_id"`
				Key   string          `json:"idempotency_key"`
				Event json.RawMessage `json:"event"`
			}
			if json.Unmarshal(s.Bytes(), &line) != nil {
				fmt.Fprintf(w, `{"line":%d,"status":400,"error":{"code":"invalid_json","message":"not JSON"}}`+"\n", n)
				continue
			}
			id, duplicate := in.accept(line.Key, line.Dev+" "+string(line.Event))
			if n == cut {
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
			fmt.Fprintf(w, `{"line":%d,"status":202,"id":%q,"reference":"r","deliveries":1,"duplicate":%v}`+"\n", n, id, duplicate)
		}
	}
}

func newIntake() *intake { return &intake{keys: map[string]string{}} }

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSendLeavesBodiesAlone(t *testing.T) {
	in := newIntake()
	f := newFake(t, map[string]http.HandlerFunc{"POST /v1/events": in.single})
	body := "{ \"type\" : \"auth\",\r\n\t\"x\": \"\\u0000<\u2028>\" }\n"
	path := write(t, "a.json", body)
	r := f.run(t, "send", "--developer", "acme", "--reference", "order-17", path)
	r.want(t, 0, path+": event-1, 2 deliveries\naccepted 1, duplicates 0, failed 0 (2 deliveries in 0s)\n", "")
	if len(in.bodies) != 1 || in.bodies[0] != body {
		t.Errorf("arrived %q", in.bodies)
	}
	h := f.requests()[0].header
	if h.Get("dev-id") != "acme" || h.Get("terra-reference") != "order-17" || len(h.Get("Idempotency-Key")) != 36 {
		t.Errorf("headers %v", h)
	}
}

func TestSendNamesWhatFailedAndGoesOn(t *testing.T) {
	in := newIntake()
	f := newFake(t, map[string]http.HandlerFunc{"POST /v1/events": in.single, "POST /v1/events/batch": in.batch(0)})
	bad, good := write(t, "bad.json", "{"), write(t, "good.json", `{"type":"a"}`)
	mixed := write(t, "mixed.ndjson", `{"type":"b","x":1.0e5}`+"\n\n  \n"+`nonsense`+"\r\n"+`{"dev_id":"other","event": {"type":"c"} }`)
	missing := filepath.Join(t.TempDir(), "none.json")
	r := f.run(t, "send", "--developer", "acme", bad, good, missing, mixed)
	r.want(t, 1, good+": event-1, 2 deliveries\naccepted 3, duplicates 0, failed 3 (4 deliveries in 0s)\n",
		bad+`: not JSON\x1b[2J (invalid_json)`+"\n"+missing+": open "+missing+": no such file or directory (unreadable_file)\n"+mixed+":4: not JSON (invalid_json)\n")
	want := []string{`{"type":"a"}`, `acme {"type":"b","x":1.0e5}`, `other {"type":"c"}`}
	if strings.Join(in.bodies, "|") != strings.Join(want, "|") {
		t.Errorf("arrived %q, want %q", in.bodies, want)
	}
}

func TestSendAsJSON(t *testing.T) {
	in := newIntake()
	f := newFake(t, map[string]http.HandlerFunc{"POST /v1/events/batch": in.batch(0)})
	tr := trial{in: "{\"type\":\"a\"}\nnonsense\n", env: map[string]string{"FANTAIL_SERVER": f.URL}}
	r := tr.run(t, "send", "--developer", "acme", "--ndjson", "--json", "-")
	r.want(t, 1, `{"source":"-","line":1,"id":"event-1","reference":"r","deliveries":1,"duplicate":false}
{"source":"-","line":2,"error":{"code":"invalid_json","message":"not JSON"}}
`, "accepted 1, duplicates 0, failed 1 (1 delivery in 0s)\n")
}

func TestSendAgainDoublesNothingWhenIdempotent(t *testing.T) {
	in := newIntake()
	f := newFake(t, map[string]http.HandlerFunc{"POST /v1/events": in.single, "POST /v1/events/batch": in.batch(0)})
	one, many := write(t, "a.json", `{"type":"a"}`), write(t, "b.jsonl", "{\"type\":\"b\"}\n{\"type\":\"c\"}\n{\"idempotency_key\":\"mine\",\"event\":{}}\n")
	f.run(t, "send", "--developer", "acme", "--idempotent", one, many).want(t, 0, one+": event-1, 2 deliveries\naccepted 4, duplicates 0, failed 0 (5 deliveries in 0s)\n", "")
	f.run(t, "send", "--developer", "acme", "--idempotent", one, many).want(t, 0, one+": event-1, 2 deliveries, known already\naccepted 0, duplicates 4, failed 0 (0 deliveries in 0s)\n", "")
	f.run(t, "send", "--developer", "acme", one, many).want(t, 0, one+": event-5, 2 deliveries\naccepted 3, duplicates 1, failed 0 (4 deliveries in 0s)\n", "")
	if in.keys["mine"] == "" {
		t.Error("the line's own key was lost")
	}
}

func TestSendRidesOutBreaksAndDoublesNothing(t *testing.T) {
	in := newIntake()
	lineBusy := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"line":1,"status":503,"error":{"code":"unavailable","message":"disk"}}`+"\n")
	}
	f := newFake(t, map[string]http.HandlerFunc{"POST /v1/events/batch": inOrder(
		deny(503, "unavailable", "disk"), in.batch(3), lineBusy, deny(429, "rate_limited", "slow down"), in.batch(0))})
	var text strings.Builder
	for i := range 5 {
		fmt.Fprintf(&text, `{"type":"t%d"}`+"\n", i)
	}
	r := f.run(t, "send", "--developer", "acme", write(t, "a.ndjson", text.String()))
	// The third line was taken just before the connection broke.
	r.want(t, 0, "accepted 4, duplicates 1, failed 0 (4 deliveries in 0s)\n", "")
	if len(in.bodies) != 5 {
		t.Errorf("arrived %q", in.bodies)
	}
	if fmt.Sprint(in.lines) != "[3 3]" {
		t.Errorf("batches of %v lines: want what had no answer, and nothing else, sent again", in.lines)
	}
}

func TestSendWorksInChunks(t *testing.T) {
	in := newIntake()
	tooLarge := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Count(string(body), "\n") > 300 {
			deny(413, "too_large", "too large")(w, r)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		in.batch(0)(w, r)
	}
	f := newFake(t, map[string]http.HandlerFunc{"POST /v1/events/batch": tooLarge})
	path := write(t, "a.ndjson", strings.Repeat("{\"type\":\"t\"}\n", 2100))
	f.run(t, "send", "--developer", "acme", path).want(t, 0, "accepted 2100, duplicates 0, failed 0 (2100 deliveries in 0s)\n", "")
	if fmt.Sprint(in.lines) != "[250 250 250 250 250 250 250 250 100]" {
		t.Errorf("batches of %v lines", in.lines)
	}

	// A daemon that takes 150 bytes in one request says so at the line that exceeds them.
	in = newIntake()
	f = newFake(t, map[string]http.HandlerFunc{"POST /v1/events/batch": func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n := bytes.IndexByte(body, '\n') + 1
		if n < len(body) || n > 150 {
			defer fmt.Fprintf(w, `{"line":%d,"status":413,"error":{"code":"too_large","message":"too large"}}`+"\n", map[bool]int{true: 1, false: 2}[n > 150])
		}
		if n <= 150 {
			r.Body = io.NopCloser(bytes.NewReader(body[:n]))
			in.batch(0)(w, r)
		}
	}})
	path = write(t, "a.ndjson", "{\"type\":\"t\"}\n{\"type\":\"u\"}\n{\"type\":\""+strings.Repeat("x", 150)+"\"}\n{\"type\":\"v\"}\n")
	f.run(t, "send", "--developer", "acme", path).want(t, 1, "accepted 3, duplicates 0, failed 1 (3 deliveries in 0s)\n", path+":3: too large (too_large)\n")

	f = newFake(t, map[string]http.HandlerFunc{"POST /v1/events/batch": deny(413, "too_large", "too large")})
	path = write(t, "a.ndjson", "{\"type\":\"t\"}\n{\"type\":\"u\"}\n")
	f.run(t, "send", "--developer", "acme", path).want(t, 1, "accepted 0, duplicates 0, failed 2 (0 deliveries in 0s)\n",
		path+":1: too large (too_large)\n"+path+":2: too large (too_large)\n")
}

func TestSendStopsWhereNothingCanSucceed(t *testing.T) {
	event, many := write(t, "a.json", `{"type":"a"}`), write(t, "b.ndjson", "{\"type\":\"a\"}\n")
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		args   []string
		want   string
	}{
		"no token":          {deny(401, "unauthorized", "a valid bearer token is needed"), []string{event, event}, "give one with --token-file"},
		"no token, batch":   {deny(401, "unauthorized", "a valid bearer token is needed"), []string{many, many}, "give one with --token-file"},
		"busy for too long": {deny(503, "unavailable", "disk reserve reached"), []string{"--patience", "0s", event, event}, "disk reserve reached"},
		"busy, batch":       {deny(503, "unavailable", "disk reserve reached"), []string{"--patience", "0s", many, many}, "disk reserve reached"},
	} {
		f := newFake(t, map[string]http.HandlerFunc{"POST /v1/events": tc.answer, "POST /v1/events/batch": tc.answer})
		r := f.run(t, append([]string{"send", "--developer", "acme"}, tc.args...)...)
		if n := len(f.requests()); r.code != 1 || n != 1 || !strings.Contains(r.err, tc.want) || !strings.HasPrefix(r.out, "accepted 0,") {
			t.Errorf("%s: %+v after %d requests, want %q after one", name, r, n, tc.want)
		}
	}
	r := newFake(t, nil).run(t, "send", event)
	if r.code != 2 || !strings.Contains(r.err, "say whose it is with --developer") {
		t.Errorf("no developer: %+v", r)
	}
	r = newFake(t, nil).run(t, "send", many)
	if r.code != 1 || !strings.Contains(r.err, "say whose it is with --developer (incomplete_line)") {
		t.Errorf("no developer on a line: %+v", r)
	}
}

func TestLinesAreReadWithinBounds(t *testing.T) {
	r := bufio.NewReaderSize(strings.NewReader("ab\n"+strings.Repeat("x", 500)+"\ncd\n\n"+strings.Repeat("y", 100)), 16)
	var got []string
	for {
		line, err := readLine(r, 100)
		if err == io.EOF {
			break
		}
		got = append(got, fmt.Sprintf("%d %v", len(line), err))
	}
	want := []string{"2 <nil>", "0 " + errLongLine.Error(), "2 <nil>", "0 <nil>", "100 <nil>"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", got, want)
	}
}

// When the daemon does not know the developer, neither the second file is tried nor the second chunk
// of lines.
func TestSendStopsForADeveloperWhomNobodyKnows(t *testing.T) {
	refuse := deny(404, "unknown_developer", "there is no such developer")
	f := newFake(t, map[string]http.HandlerFunc{"POST /v1/events": refuse, "POST /v1/events/batch": func(w http.ResponseWriter, r *http.Request) {
		s := bufio.NewScanner(r.Body)
		for n := 1; s.Scan(); n++ {
			fmt.Fprintf(w, `{"line":%d,"status":404,"error":{"code":"unknown_developer","message":"there is no such developer"}}`+"\n", n)
		}
	}})
	event, many := write(t, "a.json", `{"type":"a"}`), write(t, "b.ndjson", strings.Repeat("{\"type\":\"a\"}\n", 2500))
	for _, files := range [][]string{{event, event, event}, {many}} {
		before := len(f.requests())
		r := f.run(t, append([]string{"send", "--developer", "acmee"}, files...)...)
		sent := 0
		for _, q := range f.requests()[before:] {
			if strings.HasPrefix(q.what, "POST") {
				sent++
			}
		}
		if r.code != 1 || sent != 1 || !strings.Contains(r.err, `what follows was not handed in: the daemon does not know the developer "acmee"`) || !strings.HasPrefix(r.out, "accepted 0,") {
			t.Errorf("%d requests: exit %d, %s%.300s", sent, r.code, r.out, r.err)
		}
	}
}

// A run says why it has stopped, even if events were refused before.
func TestSendSaysWhyItStoppedAfterARefusal(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"POST /v1/events": inOrder(deny(400, "invalid_json", "not JSON"), deny(401, "unauthorized", "a valid bearer token is needed"))})
	event := write(t, "a.json", `{"type":"a"}`)
	if r := f.run(t, "send", "--developer", "acme", event, event, event); r.code != 1 || !strings.Contains(r.err, "not JSON") || !strings.Contains(r.err, "stopped at "+event) || !strings.Contains(r.err, "--token-file") {
		t.Errorf("%+v", r)
	}
}
