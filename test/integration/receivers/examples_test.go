package receivers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/webhook"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/exchange/exchangetest"
	"github.com/seed-51f8da91/fantail/pkg/signature"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// examples is where the receivers lie that the README of webhooks shows.
const examples = "../../../destinations/webhook/receivers"

// example is one of them.
type example struct {
	file     string
	language string            // of its block in the README
	library  map[string]string // what it imports -> the folder of node_modules
	standard bool              // verifies Standard Webhooks
}

var all = []example{
	{file: "terra-api-2.mjs", language: "js", library: map[string]string{"terra-api": "terra-api-2", "express": "express"}},
	{file: "terra-api-1.mjs", language: "js", library: map[string]string{"terra-api": "terra-api-1", "express": "express"}},
	{file: "node.mjs", language: "js"},
	{file: "receiver.py", language: "python"},
	{file: "go/main.go", language: "go"},
	{file: "standard-webhooks.mjs", language: "js", library: map[string]string{"standardwebhooks": "standardwebhooks", "express": "express"}, standard: true},
	{file: "go-standard-webhooks/main.go", language: "go", standard: true},
}

// TestTheREADMEShowsTheReceivers checks that it shows all of them as they are tested.
func TestTheREADMEShowsTheReceivers(t *testing.T) {
	readme, err := os.ReadFile(examples + "/../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		source, err := os.ReadFile(filepath.Join(examples, e.file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(readme, []byte("```"+e.language+"\n"+string(source)+"```\n")) {
			t.Errorf("the README shows another %s than the one that is tested", e.file)
		}
	}
	for _, language := range []string{"js", "python", "go"} {
		want := len(slices.DeleteFunc(slices.Clone(all), func(e example) bool { return e.language != language }))
		if got := strings.Count(string(readme), "```"+language+"\n"); got != want {
			t.Errorf("the README has %d blocks of %s, and %d are tested", got, language, want)
		}
	}
	files := 0
	if err := filepath.WalkDir(examples, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	}); err != nil || files != len(all) {
		t.Errorf("%d files, of which %d are tested: %v", files, len(all), err)
	}
}

// TestTheReceivers: each of them takes what the webhook kind sends, refuses every delivery that is
// forged, stale or not signed, and goes on running.
func TestTheReceivers(t *testing.T) {
	installed(t)
	for _, e := range all {
		t.Run(e.file, func(t *testing.T) {
			secret := "66142e0c2960f788b19830807d4aa25cfd27a610ec65fd36"
			if e.standard {
				secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
			}
			e.refusesToStartWithoutSecret(t)
			r := e.start(t, secret)
			genuine := bodies(t)
			for _, b := range genuine {
				r.takes(t, b)
			}
			for _, f := range forgeries(e, secret) {
				r.refuses(t, f)
				r.takes(t, genuine[0]) // it lives, and is not out of step
			}
			r.end(t)
		})
	}
}

// command is how the example is started, in a folder where its libraries are
// found under the names by which it imports them.
func (e example) command(t *testing.T) *exec.Cmd {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(examples, e.file))
	if err != nil {
		t.Fatal(err)
	}
	switch e.language {
	case "python":
		return exec.Command("python3", path)
	case "go":
		binary := filepath.Join(t.TempDir(), "receiver")
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, path).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", e.file, err, out)
		}
		return exec.Command(binary)
	}
	dir := t.TempDir()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, e.file), source, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "node_modules"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, folder := range e.library {
		target, err := filepath.Abs(filepath.Join("node_modules", folder))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, "node_modules", name)); err != nil {
			t.Fatal(err)
		}
	}
	return exec.Command("node", filepath.Join(dir, e.file))
}

func (e example) refusesToStartWithoutSecret(t *testing.T) {
	t.Helper()
	cmd := e.command(t)
	_, port, _ := net.SplitHostPort(servers.Address(t))
	cmd.Env = append(os.Environ(), "WEBHOOK_SECRET=", "PORT="+port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("without a secret it ended as if all was well")
		}
	case <-time.After(2 * time.Minute):
		t.Error("it runs without a secret: whoever signs with an empty one would be believed")
		_ = cmd.Process.Kill()
		<-ended
	}
}

// running is an example in a process of its own.
type running struct {
	example
	secret         string
	url            string
	cmd            *exec.Cmd
	ended          chan struct{}
	stdout, stderr bytes.Buffer // to be read once it has ended

	n      int
	stored []string // what it must have stored: a line for each event, in order
}

func (e example) start(t *testing.T, secret string) *running {
	t.Helper()
	address := servers.Address(t)
	_, port, _ := net.SplitHostPort(address)
	r := &running{example: e, secret: secret, url: "http://" + address + "/hooks", cmd: e.command(t), ended: make(chan struct{})}
	r.cmd.Env = append(os.Environ(), "WEBHOOK_SECRET="+secret, "PORT="+port)
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(r.ended); _ = r.cmd.Wait() }()
	t.Cleanup(func() { _ = r.cmd.Process.Kill(); <-r.ended })
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			tick.Stop()
			return r
		}
		select {
		case <-r.ended:
			t.Fatalf("it ended at once: %s", r.stderr.String())
		case <-t.Context().Done():
			t.Fatal("it never listened")
		case <-tick.C:
		}
	}
}

// send makes one attempt of the webhook kind, to url and signed with secret, and
// returns what was answered.
func (r *running) send(t *testing.T, url, secret string, body []byte) (trace string, code int) {
	t.Helper()
	settings, _ := json.Marshal(map[string]any{"URL": url, "AllowHTTP": true})
	opener, err := webhook.Definition().Bind(func(into any) error {
		c := into.(*webhook.Config)
		if r.standard {
			c.Signing = "standard-webhooks"
		}
		if err := json.Unmarshal(settings, c); err != nil {
			return err
		}
		return c.Secret.UnmarshalText([]byte(secret))
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := opener(destination.Deps{Exchange: exchangetest.Client(t, nil, nil), Dial: (&net.Dialer{}).DialContext, Brand: "terra", UserAgent: "Fantail/test"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r.n++
	x := destinationtest.Delivery(t, r.n, body)
	receipt, err := d.Send(t.Context(), x)
	if receipt.Code == 0 {
		select {
		case <-r.ended:
			t.Fatalf("the receiver is dead: %v\n%s", err, r.stderr.String())
		default:
			t.Fatalf("no answer: %v", err)
		}
	}
	return x.ID, receipt.Code
}

func (r *running) takes(t *testing.T, b sample) {
	t.Helper()
	trace, code := r.send(t, r.url, r.secret, b.body)
	if code != http.StatusOK {
		t.Errorf("%s: answered %d", b.name, code)
	}
	r.stored = append(r.stored, fmt.Sprint(trace, " ", len(b.body)))
}

// forgery changes a delivery on its way; secret is the sender's, where that is not the right one.
type forgery struct {
	name, secret string
	change       func(h http.Header, body []byte) []byte
}

func (r *running) refuses(t *testing.T, f forgery) {
	t.Helper()
	way := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil {
			return
		}
		out, err := http.NewRequestWithContext(in.Context(), in.Method, r.url, nil)
		if err != nil {
			t.Error(err)
			return
		}
		out.Header = in.Header.Clone()
		body = f.change(out.Header, body)
		out.Header.Del("Content-Length")
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			t.Errorf("%s: no answer: %v", f.name, err)
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
	}))
	defer way.Close()
	secret := r.secret
	if f.secret != "" {
		secret = f.secret
	}
	if _, code := r.send(t, way.URL, secret, []byte(`{"type":"activity","user":{"user_id":"u"},"data":[{"n":1}]}`)); code < 400 || code > 499 {
		t.Errorf("%s: answered %d", f.name, code)
	}
}

// end stops the receiver and compares what it stored.
func (r *running) end(t *testing.T) {
	t.Helper()
	select {
	case <-r.ended:
		t.Errorf("it ended by itself: %s", r.stderr.String())
	default:
	}
	_ = r.cmd.Process.Kill()
	<-r.ended
	if got := strings.Split(strings.TrimSpace(r.stdout.String()), "\n"); !slices.Equal(got, r.stored) {
		t.Errorf("it stored\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(r.stored, "\n"))
	}
}

// forgeries are what e must refuse.
func forgeries(e example, secret string) []forgery {
	header, other := "terra-signature", "another-secret-of-acme"
	if e.standard {
		header, other = signature.HeaderSignature, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	}
	as := func(h http.Header, b []byte) []byte { return b }
	shift := func(d time.Duration) func(http.Header, []byte) []byte {
		return func(h http.Header, b []byte) []byte { sign(h, e.standard, secret, time.Now().Add(d), b); return b }
	}
	all := []forgery{
		{"another secret", other, as},
		{"body changed", "", func(_ http.Header, b []byte) []byte { return bytes.Replace(b, []byte("1"), []byte("2"), 1) }},
		{"byte more", "", func(_ http.Header, b []byte) []byte { return append(b, '\n') }},
		{"byte less", "", func(_ http.Header, b []byte) []byte { return b[:len(b)-1] }},
		{"no body", "", func(http.Header, []byte) []byte { return nil }},
		{"no content type", other, func(h http.Header, b []byte) []byte { h.Del("Content-Type"); return b }},
		{"stale", "", shift(-signature.Tolerance - 5*time.Second)},
		{"stale by a day", "", shift(-24 * time.Hour)},
		{"from the future", "", shift(signature.Tolerance + time.Minute)},
		{"another time", "", func(h http.Header, b []byte) []byte {
			old := h.Get(header)
			if e.standard {
				h.Set(signature.HeaderTimestamp, strconv.FormatInt(time.Now().Unix()+1, 10))
			} else {
				sum := old[strings.Index(old, ",v1="):]
				h.Set(header, "t="+strconv.FormatInt(time.Now().Unix()+1, 10)+sum)
			}
			return b
		}},
		{"no signature", "", func(h http.Header, b []byte) []byte { h.Del(header); return b }},
	}
	if e.standard {
		all = append(all, forgery{"another id", "", func(h http.Header, b []byte) []byte { h.Set(signature.HeaderID, "x"); return b }},
			forgery{"no time", "", func(h http.Header, b []byte) []byte { h.Del(signature.HeaderTimestamp); return b }})
	} else {
		all = append(all, forgery{"an empty secret", "", func(h http.Header, b []byte) []byte { sign(h, false, "", time.Now(), b); return b }})
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	for _, garbage := range []string{
		"x", "=", ",", "t", "t=", "v1=", "v1,", "v1", "v1,\u00e9", "t=1,v1=", "t=" + now, "t=" + now + ",v1=", "t=" + now + ",v1=0", "t=" + now + ",v1=" + strings.Repeat("\u00e9", 64),
		"t=" + now + ",v1=" + strings.Repeat("z", 64), "t=" + now + ",v1=" + strings.Repeat("0", 64), "t=" + strings.Repeat("9", 5000) + ",v1=" + strings.Repeat("0", 64),
		"t=x,v1=" + strings.Repeat("0", 64), "v1," + strings.Repeat("A", 43) + "=", strings.Repeat("v1, ", 1000),
	} {
		all = append(all, forgery{fmt.Sprintf("%.40q for a signature", garbage), "", func(h http.Header, b []byte) []byte { h.Set(header, garbage); return b }})
	}
	return all
}

// sign puts a right signature of another time into h.
func sign(h http.Header, standard bool, secret string, at time.Time, body []byte) {
	if !standard {
		h.Set("terra-signature", signature.Sign(secret, at, body))
		return
	}
	key, err := signature.ParseSigningKey(secret)
	if err != nil {
		panic(err)
	}
	h.Set(signature.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(signature.HeaderSignature, key.Sign(h.Get(signature.HeaderID), at, body))
}
