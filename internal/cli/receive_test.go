package cli

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/signature"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares what was printed with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s:\n%swant (-update writes it):\n%s%v", name, got, want, err)
	}
}

// shared is a buffer that several goroutines may use.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// receiving is a running receiver.
type receiving struct {
	t        *testing.T
	url      string
	out, err *shared
	stop     func() int
}

// receive starts the command on a port of its own.
func receive(t *testing.T, prepare func(*env), args ...string) *receiving {
	t.Helper()
	r := &receiving{t: t, out: new(shared), err: new(shared)}
	e := newEnv(strings.NewReader(""), r.out, r.err, nil)
	e.now = func() time.Time { return testNow }
	e.lookup = func(string) string { return "" }
	if prepare != nil {
		prepare(e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() { code <- e.run(ctx, append([]string{"receive", "--listen", "127.0.0.1:0"}, args...)) }()
	r.stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() { r.stop() })
	for deadline := time.Now().Add(time.Minute); r.url == ""; time.Sleep(time.Millisecond) { // until it says where
		if m := regexp.MustCompile(`Receiving at (http://\S+),`).FindStringSubmatch(r.err.String()); m != nil {
			r.url = m[1]
		} else if time.Now().After(deadline) {
			t.Fatalf("the receiver does not start: %s", r.err)
		}
	}
	return r
}

// post sends a body and returns the status and the answer; headers are pairs.
func (r *receiving) post(body string, headers ...string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/hooks?x=1", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

const hush = "a-secret-of-acme"

// signed are the headers of a genuine attempt.
func signed(body, id string) []string {
	return []string{"terra-signature", signature.Sign(hush, testNow, []byte(body)), "x-terra-trace-id", id, "terra-reference", "ref-1"}
}

const sleepBody = `{"type":"sleep","data":[]}`

func TestReceiveVerifies(t *testing.T) {
	r := receive(t, nil, "--secret", hush, "--json")
	old := signature.Sign(hush, testNow.Add(-6*time.Minute), []byte(sleepBody))
	for _, tc := range []struct {
		what   string
		header []string
		status int
		want   received
	}{
		{"genuine", signed(sleepBody, "d1"), 200, received{Signature: "verified", Result: "delivered", Type: "sleep"}},
		{"again", signed(sleepBody, "d1"), 200, received{Signature: "verified", Result: "delivered", Type: "sleep", Again: true}},
		{"of another body", signed(sleepBody+" ", "d2"), 401, received{Signature: "wrong", Result: "refused", Type: "sleep", Why: "wrong signature"}},
		{"old", []string{"terra-signature", old}, 401, received{Signature: "wrong", Result: "refused", Type: "sleep", Why: "signature too old or new"}},
		{"malformed", []string{"terra-signature", "t=1, v1=x"}, 400, received{Signature: "wrong", Result: "refused", Type: "sleep", Why: "malformed signature"}},
		{"none", nil, 400, received{Signature: "missing", Result: "refused", Type: "sleep", Why: "no terra-signature"}},
		{"of the other kind", []string{"webhook-signature", "v1,x"}, 400,
			received{Signature: "missing", Result: "refused", Type: "sleep", Why: "no terra-signature; for Standard Webhooks the secret begins with whsec_"}},
	} {
		before := len(r.out.String())
		status, answer := r.post(sleepBody, tc.header...)
		var got received
		if err := json.Unmarshal([]byte(r.out.String()[before:]), &got); err != nil {
			t.Fatal(err)
		}
		if status != tc.status || got.Status != status || got.Signature != tc.want.Signature || got.Result != tc.want.Result || got.Type != tc.want.Type ||
			got.Why != tc.want.Why || got.Again != tc.want.Again || got.Path != "/hooks" || string(got.Event) != sleepBody || got.Bytes != len(sleepBody) || answer != got.Why {
			t.Errorf("%s: answered %d %q, shown %+v", tc.what, status, answer, got)
		}
	}
	if code := r.stop(); code != 0 || !strings.HasSuffix(r.err.String(), "Received 7 requests: 2 delivered, 0 failed, 5 refused; 1 of them had come before.\n") {
		t.Errorf("exit %d: %s", code, r.err)
	}
}

func TestReceiveVerifiesStandardWebhooks(t *testing.T) {
	seed := bytes.Repeat([]byte{7}, ed25519.SeedSize)
	for _, own := range []string{"whsec_" + base64.StdEncoding.EncodeToString(seed), "whsk_" + base64.StdEncoding.EncodeToString(seed)} {
		key, err := signature.ParseSigningKey(own)
		if err != nil {
			t.Fatal(err)
		}
		secret := own
		if key.Public() != "" {
			secret = key.Public()
		}
		r := receive(t, nil, "--secret", secret)
		header := func(body string) []string {
			return []string{"webhook-id", "d1", "webhook-timestamp", fmt.Sprint(testNow.Unix()), "webhook-signature", signature.SignStandard([]signature.SigningKey{key}, "d1", testNow, []byte(body))}
		}
		if status, answer := r.post(sleepBody, header(sleepBody)...); status != 200 {
			t.Errorf("%.6s: genuine: %d %s", own, status, answer)
		}
		if status, _ := r.post(sleepBody, header("x")...); status != 401 {
			t.Errorf("%.6s: of another body: %d", own, status)
		}
		if status, _ := r.post(sleepBody, "webhook-signature", "v1,x"); status != 400 {
			t.Errorf("%.6s: malformed: %d", own, status)
		}
	}
}

func TestReceiveFailsOnPurpose(t *testing.T) {
	for args, want := range map[string][]int{
		"--fail 2": {500, 500, 200}, "--fail 1 --status 503": {503, 200, 200}, "--status 410": {410, 410, 410}, "--status 204": {204, 204, 204}, "": {200, 200, 200},
	} {
		r := receive(t, nil, strings.Fields(args)...)
		for i, w := range want {
			if status, _ := r.post(sleepBody, "x-terra-trace-id", "d1"); status != w {
				t.Errorf("%q: request %d was answered %d, want %d", args, i, status, w)
			}
		}
	}
	// A request that does not verify does not count as one of the failures.
	r := receive(t, nil, "--fail", "1", "--secret", hush)
	r.post(sleepBody)
	if status, _ := r.post(sleepBody, signed(sleepBody, "d1")...); status != 500 {
		t.Errorf("the first genuine one: %d", status)
	}
}

func TestReceiveIsSlowAndEndsAtOnce(t *testing.T) {
	var waited []time.Duration
	r := receive(t, func(e *env) {
		e.pause = func(_ context.Context, d time.Duration) bool { waited = append(waited, d); return true }
	}, "--slow", "5s")
	if status, _ := r.post(sleepBody); status != 200 || len(waited) != 1 || waited[0] != 5*time.Second {
		t.Errorf("answered %d after %v", status, waited)
	}
	// A wait of an hour does not keep the receiver from ending.
	waiting := make(chan struct{})
	r = receive(t, func(e *env) {
		e.pause = func(ctx context.Context, _ time.Duration) bool { close(waiting); <-ctx.Done(); return false }
	}, "--slow", "1h")
	done := make(chan struct{})
	go func() {
		defer close(done)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, strings.NewReader(sleepBody))
		if res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req); err == nil {
			res.Body.Close()
		}
	}()
	<-waiting
	if code := r.stop(); code != 0 || !strings.Contains(r.out.String(), "---  failed: the sender did not wait") {
		t.Errorf("exit %d: %s", code, r.out)
	}
	<-done
}

func TestReceiveHandsOn(t *testing.T) {
	var got *http.Request
	var body []byte
	program := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(422)
		io.WriteString(w, `{"x":`+strings.Repeat("1", 100_000)+`}`)
	}))
	r := receive(t, nil, "--secret", hush, "--forward-to", program.URL+"/own?a=b")
	status, answer := r.post(sleepBody, append(signed(sleepBody, "d1"), "Proxy-Authorization", "x")...)
	if status != 422 || len(answer) != mostAnswer || got.URL.RequestURI() != "/own?a=b" || string(body) != sleepBody ||
		got.Header.Get("terra-signature") == "" || got.Header.Get("x-terra-trace-id") != "d1" || got.Header.Get("Proxy-Authorization") != "" {
		t.Errorf("answered %d with %d bytes; handed on %+v %s", status, len(answer), got, body)
	}
	if got = nil; true {
		r.post(sleepBody)
	}
	if got != nil {
		t.Error("what does not verify was handed on")
	}
	program.Close()
	if status, _ := r.post(sleepBody, signed(sleepBody, "d1")...); status != 502 || !strings.Contains(r.out.String(), "did not answer") {
		t.Errorf("nobody there: %d\n%s", status, r.out)
	}
}

// TestReceiveIsBounded: no sender makes the receiver keep more than it says.
func TestReceiveIsBounded(t *testing.T) {
	r := receive(t, nil, "--secret", hush)
	if status, _ := r.post(strings.Repeat("x", mostReceived+1)); status != 413 {
		t.Errorf("a body over the bound: %d", status)
	}
	if res, err := http.Get(r.url); err != nil || res.StatusCode != 405 || res.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %v %v", res, err)
	}
	one := &receiver{seen: map[string]bool{}}
	for i := range 3 * mostSeen {
		one.count(&received{Result: "delivered", ID: fmt.Sprint(i) + strings.Repeat("x", 1<<10)})
	}
	if len(one.seen) > mostSeen {
		t.Errorf("%d ids are kept", len(one.seen))
	}
	one.kept = mostKept
	if _, status, _ := one.read(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("xx"))); status != 503 {
		t.Errorf("more than is kept at a time: %d", status)
	}
	if one.release(2); one.kept != mostKept {
		t.Errorf("%d bytes are kept for ever", one.kept-mostKept)
	}
}

func TestReceiveRefusesWrongUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--secret a --secret-file b": "not both", "--fail -1": "--fail -1", "--status 99": "from 200 to 599", "--status 700": "from 200", "--slow -1s": "--slow",
		"--fail 1 --status 200": "no failure", "--forward-to nowhere": "--forward-to", "--status 500 --forward-to http://x": "leave nothing",
		"--secret whsk_AAAA": "--secret: ", "--secret whsec_!": "not base64", "--listen 127.0.0.1:9000 --forward-to http://127.0.0.1:9000/x": "where --listen receives",
	} {
		if r := (trial{}).run(t, append([]string{"receive"}, strings.Fields(args)...)...); r.code != 2 || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
	there := httptest.NewServer(nil)
	defer there.Close()
	if r := (trial{}).run(t, "receive", "--listen", strings.TrimPrefix(there.URL, "http://")); r.code != 1 || !strings.Contains(r.err, "name another address with --listen") {
		t.Errorf("a port that is taken: %+v", r)
	}
	if r := (trial{}).run(t, "receive", "--secret-file", write(t, "s", "\n")); r.code != 1 || !strings.Contains(r.err, "is empty") {
		t.Errorf("an empty secret: %+v", r)
	}
}

// TestReceiveLines compares golden files: on terminals of 80 and 100 columns and without one, also
// for hostile senders.
func TestReceiveLines(t *testing.T) {
	const id = "019c1f3e-7b2a-7000-8000-3f1e5a2b4c6d_3"
	hostile := `{"type":"` + "\u202esleep\u0007\u001b[2J\u6f22\u5b57\u05e9\u05dc\u05d5\u05dd" + strings.Repeat("x", 300) + `"}`
	hostile = strings.NewReplacer("\u0007", `\u0007`, "\u001b", `\u001b`).Replace(hostile)
	for name, prepare := range map[string]func(*env){
		"receive.pipe":    nil,
		"receive.80":      func(e *env) { e.outTerminal, e.lookup = true, columnsOf("80") },
		"receive.100":     func(e *env) { e.outTerminal, e.lookup = true, columnsOf("100") },
		"receive.unknown": func(e *env) { e.outTerminal = true },
	} {
		r := receive(t, prepare, "--secret", hush, "--fail", "1")
		r.post(sleepBody, signed(sleepBody, id)...)
		r.post(sleepBody, signed(sleepBody, id)...)
		r.post(sleepBody, signed(sleepBody, id)...)
		r.post(`{"type":"lab_report.completed"}`, signed(`{"type":"lab_report.completed"}`, id)...)
		r.post(sleepBody, signed("other", id)...)
		r.post(sleepBody)
		r.post("no json", signed("no json", "")...)
		r.post(sleepBody, "webhook-signature", "v1,x", "webhook-id", id)
		r.post(hostile, signed(hostile, "\u202e\u6f22\u05e9"+strings.Repeat("y", 500))...)
		got := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d`).ReplaceAllString(r.out.String(), "12:00:00") // local time
		golden(t, name+".txt", got)
		for line := range strings.Lines(got) {
			if n := map[string]int{"receive.80": 80, "receive.100": 100, "receive.unknown": 100}[name]; n > 0 && len([]rune(line)) > n+1 || strings.ContainsFunc(line[:len(line)-1], hazard) {
				t.Errorf("%s: %q", name, line)
			}
		}
	}
	r := receive(t, nil, "--json")
	r.post(hostile, "x-terra-trace-id", "\u202e\u6f22")
	if line := r.out.String(); strings.ContainsFunc(strings.TrimSuffix(line, "\n"), hazard) || strings.Count(line, "\n") != 1 || !json.Valid([]byte(line)) {
		t.Errorf("as JSON: %q", line)
	}
}

func columnsOf(n string) func(string) string {
	return func(name string) string { return map[string]string{"COLUMNS": n}[name] }
}
