package feed

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// daemon answers batches line by line as the test says.
type daemon struct {
	mu     sync.Mutex
	bodies []string
	answer func(request, n int, line map[string]any) (status int, code string) // n from 1; status 0: break off
}

func (d *daemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bodies = append(d.bodies, string(body))
	for s, n := bufio.NewScanner(strings.NewReader(string(body))), 1; s.Scan(); n++ {
		var line map[string]any
		_ = json.Unmarshal(s.Bytes(), &line)
		status, code := d.answer(len(d.bodies), n, line)
		switch {
		case status == 0:
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case status/100 == 2:
			fmt.Fprintf(w, `{"line":%d,"status":%d,"id":"e","reference":"r","deliveries":1,"duplicate":%v}`+"\n", n, status, status == 200)
		default:
			fmt.Fprintf(w, `{"line":%d,"status":%d,"error":{"code":%q,"message":"because"}}`+"\n", n, status, code)
		}
	}
}

// sink hands in to d; waits are noted and take no time.
func sink(t *testing.T, d *daemon) (*Sink, *[]time.Duration) {
	t.Helper()
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var waits []time.Duration
	return &Sink{Mapping: Mapping{Brand: "terra"}, Poster: Poster{
		Client: c, Patience: Forever, Now: time.Now, Waiting: func(_ error, pause time.Duration) { waits = append(waits, pause) },
		Pause: func(ctx context.Context, _ time.Duration) bool { return ctx.Err() == nil },
	}}, &waits
}

func record(id, developer, body string) Record {
	r := Record{ID: id, Key: "key/" + id, Body: []byte(body)}
	if developer != "" {
		r.Set("Dev-ID", developer)
	}
	return r
}

func TestHeadersAreThoseOfTheAPI(t *testing.T) {
	d := &daemon{answer: func(int, int, map[string]any) (int, string) { return 202, "" }}
	s, _ := sink(t, d)
	s.Developer, s.Brand = "fallback", "Zebra"
	full := record("1", "acme", `{"type":"a","n":1e400}`)
	full.Set("zebra-Reference", "ref")
	full.Set("ZEBRA-ORDERING-TIMESTAMP", "1782897153007")
	full.Set("Idempotency-Key", "own")
	full.Set("other", "x")
	done, err := s.Take(t.Context(), []Record{full, record("2", "", "{\n}")})
	if err != nil || !done[0] || !done[1] {
		t.Fatal(done, err)
	}
	want := `{"dev_id":"acme","reference":"ref","idempotency_key":"own","ordering_timestamp":1782897153007,"event":{"type":"a","n":1e400}}` + "\n" +
		`{"dev_id":"fallback","idempotency_key":"key/2","body":"ewp9"}` + "\n"
	if d.bodies[0] != want {
		t.Errorf("handed in\n%s\nwant\n%s", d.bodies[0], want)
	}
	if c := s.Counts(); c != (Counts{Accepted: 2}) {
		t.Errorf("%+v", c)
	}
}

func TestWhatIsBusyIsAskedAgainAndNothingTwice(t *testing.T) {
	d := &daemon{answer: func(request, n int, line map[string]any) (int, string) {
		switch {
		case request == 1 && n == 2:
			return 429, "limited"
		case request == 1 && n == 3:
			return 0, ""
		case request == 2:
			return 503, "unavailable"
		case n == 2:
			return 200, ""
		}
		return 202, ""
	}}
	s, waits := sink(t, d)
	done, err := s.Take(t.Context(), []Record{record("1", "a", "{}"), record("2", "a", "{}"), record("3", "a", "{}"), record("4", "a", "{}")})
	if err != nil || slices.Contains(done, false) {
		t.Fatal(done, err)
	}
	var sizes []int
	for _, b := range d.bodies {
		sizes = append(sizes, strings.Count(b, "\n"))
	}
	if !slices.Equal(sizes, []int{4, 3, 3}) || len(*waits) != 2 {
		t.Errorf("lines of requests %v, waits %v", sizes, *waits)
	}
	if c := s.Counts(); c != (Counts{Accepted: 3, Duplicates: 1}) {
		t.Errorf("%+v", c)
	}
}

func TestAnEndLeavesOpenWhatHasNoAnswer(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	d := &daemon{answer: func(_, n int, _ map[string]any) (int, string) {
		if n == 2 {
			cancel(errors.New("told to stop"))
			return 503, "unavailable"
		}
		return 202, ""
	}}
	s, _ := sink(t, d)
	s.Grace = 10 * time.Second
	done, err := s.Take(ctx, []Record{record("1", "a", "{}"), record("2", "a", "{}"), record("3", "a", "{}")})
	if err == nil || !slices.Equal(done, []bool{true, false, true}) {
		t.Errorf("%v, %v", done, err)
	}
}

func TestGraceEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	defer close(release)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel(); <-release }))
	defer server.CloseClientConnections()
	c, err := client.New(server.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := Poster{Client: c, Patience: Forever, Grace: 20 * time.Millisecond, Now: time.Now, Waiting: func(error, time.Duration) {}, Pause: func(ctx context.Context, _ time.Duration) bool { return ctx.Err() == nil }}
	if err := p.Post(ctx, [][]byte{[]byte("{}")}, func(int, client.BatchResult) { t.Error("an answer") }); err == nil {
		t.Error("no error")
	}
}

// letters keeps what it is given.
type letters struct{ all []string }

func (l *letters) Put(_ context.Context, letters [][]byte) error {
	for _, x := range letters {
		l.all = append(l.all, string(x))
	}
	return nil
}

func TestRefusedRecords(t *testing.T) {
	records := []Record{record("1", "a", "{}"), record("2", "nobody", "{\n}"), record("3", "", "{}"), record("4", "a", ""), record("5", "a", "{}")}
	records[4].Set("terra-ordering-timestamp", "yesterday")
	answer := func(_, _ int, line map[string]any) (int, string) {
		if line["dev_id"] == "nobody" {
			return 404, "unknown_developer"
		}
		return 202, ""
	}
	t.Run("without dead letters", func(t *testing.T) {
		s, _ := sink(t, &daemon{answer: answer})
		done, err := s.Take(t.Context(), records)
		r, ok := Refused(err)
		if !ok || r.Record.ID != "2" || r.Code != "unknown_developer" || !slices.Equal(done, []bool{true, false, false, false, false}) {
			t.Errorf("%v, %v", done, err)
		}
		if s.Counts().Refused != 0 {
			t.Error("it counts what stays")
		}
	})
	t.Run("with", func(t *testing.T) {
		s, _ := sink(t, &daemon{answer: answer})
		l := &letters{}
		s.Dead, s.Now = l, func() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }
		done, err := s.Take(t.Context(), records)
		if err != nil || slices.Contains(done, false) || s.Counts() != (Counts{Accepted: 1, Refused: 4}) {
			t.Fatal(done, err, s.Counts())
		}
		var codes []string
		for _, text := range l.all {
			var x struct{ Code, From string }
			if err := json.Unmarshal([]byte(text), &x); err != nil {
				t.Fatal(err)
			}
			codes = append(codes, x.From+" "+x.Code)
		}
		if want := []string{"2 unknown_developer", "3 missing_developer", "4 empty_body", "5 invalid_ordering_timestamp"}; !slices.Equal(codes, want) {
			t.Errorf("%q, want %q", codes, want)
		}
		if want := `{"at":"2026-07-01T12:00:00Z","from":"2","code":"unknown_developer","message":"because","line":{"dev_id":"nobody","idempotency_key":"key/2","body":"ewp9"}}`; l.all[0] != want {
			t.Errorf("%s\nwant\n%s", l.all[0], want)
		}
	})
}

func TestWholeRequestsThatAreRefusedEndIt(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(401)
		io.WriteString(w, `{"error":{"code":"unauthorized","message":"no"}}`)
	}))
	defer server.Close()
	s, _ := sink(t, nil)
	s.Client, _ = client.New(server.URL, "", nil)
	s.Dead = &letters{}
	done, err := s.Take(t.Context(), []Record{record("1", "a", "{}")})
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != 401 || done[0] {
		t.Errorf("%v, %v", done, err)
	}
}

func TestFileOfLettersIsMendedAndAppendedTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dead.ndjson")
	if err := os.WriteFile(path, []byte(`{"a":1}`+"\n"+`{"cut":`), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l, err := OpenLetters(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Put(t.Context(), [][]byte{[]byte(`{"b":1}`), []byte(`{"c":1}`)}); err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	got, _ := os.ReadFile(path)
	if want := `{"a":1}` + "\n" + `{"cut":` + "\n" + strings.Repeat(`{"b":1}`+"\n"+`{"c":1}`+"\n", 2); string(got) != want {
		t.Errorf("%s", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if _, err := OpenLetters(filepath.Join(path, "x")); err == nil {
		t.Error("no error")
	}
}

// Headers of Kafka are bytes. As JSON two keys that differ would become one, and the second event a
// duplicate that nobody has.
func TestHeadersThatAreNoTextAreRefused(t *testing.T) {
	d := &daemon{answer: func(int, int, map[string]any) (int, string) { return 202, "" }}
	s, _ := sink(t, d)
	l := &letters{}
	s.Dead = l
	var records []Record
	for i, name := range []string{"idempotency-key", "dev-id", "terra-reference"} {
		r := record(strconv.Itoa(i), "acme", "{}")
		r.Set(name, "a\xff")
		records = append(records, r)
	}
	done, err := s.Take(t.Context(), records)
	if err != nil || slices.Contains(done, false) || len(l.all) != 3 || len(d.bodies) != 0 {
		t.Fatalf("%v, %v, %q, handed in %q", done, err, l.all, d.bodies)
	}
	if !strings.Contains(l.all[0], `is not UTF-8`) || !strings.Contains(l.all[0], `"idempotency_key":"key/0"`) {
		t.Error(l.all[0])
	}
}

// A proxy answers 502 or 504 while the daemon behind it restarts.
func TestAProxyWithoutADaemonIsWaitedFor(t *testing.T) {
	for _, status := range []int{502, 504} {
		d := &daemon{answer: func(int, int, map[string]any) (int, string) { return 202, "" }}
		var asked atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) < 3 {
				http.Error(w, "<html>", status)
				return
			}
			d.ServeHTTP(w, r)
		}))
		s, waits := sink(t, d)
		s.Client, _ = client.New(server.URL, "", nil)
		if done, err := s.Take(t.Context(), []Record{record("1", "a", "{}")}); err != nil || !done[0] || len(*waits) != 2 {
			t.Errorf("%d: %v, %v, %d waits", status, done, err, len(*waits))
		}
		server.Close()
	}
}

// What holds no event's id is no acceptance, and a line without an end is not read for ever.
func TestAnswersThatAreNoneAreNotBelieved(t *testing.T) {
	for name, answer := range map[string]string{
		"no id": `{"line":1,"status":202}` + "\n", "endless": strings.Repeat(" ", 1<<20), "another program's": `{"ok":true}` + "\n", "null": "null\n",
	} {
		t.Run(name, func(t *testing.T) {
			d := &daemon{answer: func(int, int, map[string]any) (int, string) { return 202, "" }}
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) == 1 {
					io.WriteString(w, answer)
					return
				}
				d.ServeHTTP(w, r)
			}))
			defer server.Close()
			s, _ := sink(t, d)
			s.Client, _ = client.New(server.URL, "", nil)
			if done, err := s.Take(t.Context(), []Record{record("1", "a", "{}")}); err != nil || !done[0] || asked.Load() != 2 {
				t.Errorf("%v, %v, asked %d times", done, err, asked.Load())
			}
		})
	}
}

func TestLettersMayGoNowhere(t *testing.T) {
	l, err := OpenLetters(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Put(t.Context(), [][]byte{[]byte("{}")}); err != nil {
		t.Error(err)
	}
}

// A disk that is full: the records stay, and the error names the first.
func TestLettersThatCannotBeWrittenStopIt(t *testing.T) {
	l, err := OpenLetters("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, _ := sink(t, &daemon{answer: func(_, n int, _ map[string]any) (int, string) {
		return map[int]int{1: 202, 2: 404}[n], "unknown_developer"
	}})
	s.Dead = l
	done, err := s.Take(t.Context(), []Record{record("1", "a", "{}"), record("events/0/2", "a", "{}")})
	if err == nil || !strings.Contains(err.Error(), "events/0/2") || !slices.Equal(done, []bool{true, false}) || s.Counts().Refused != 0 {
		t.Errorf("%v, %v", done, err)
	}
}
