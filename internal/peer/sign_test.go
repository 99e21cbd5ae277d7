package peer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

func ring(t *testing.T, keys ...string) *keyring.Ring {
	t.Helper()
	var values []secret.Value
	for _, k := range keys {
		values = append(values, secret.New(strings.Repeat(k, keyring.MinKey)))
	}
	r, err := keyring.New(values)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func signed(t *testing.T, keys *keyring.Ring, target, to, body string, at time.Time) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", target, strings.NewReader(body))
	sign(keys, r, to, []byte(body), at)
	return r
}

// What was seen on the way opens nothing else: not another daemon, path, body or time.
func TestASignatureIsForOneQuestion(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	keys := ring(t, "a")
	good := signed(t, keys, "http://x/peer/act?q=1", "me", "body", now)
	if err := verify(keys, good, "me", []byte("body"), now.Add(5*time.Second)); err != nil {
		t.Fatal(err)
	}
	other := signed(t, keys, "http://x/peer/live", "me", "body", now)
	other.Header = good.Header
	for name, err := range map[string]error{
		"another daemon":  verify(keys, good, "you", []byte("body"), now),
		"nobody yet":      verify(keys, good, "", []byte("body"), now),
		"another body":    verify(keys, good, "me", []byte("Body"), now),
		"another path":    verify(keys, other, "me", []byte("body"), now),
		"later":           verify(keys, good, "me", []byte("body"), now.Add(time.Minute)),
		"earlier":         verify(keys, good, "me", []byte("body"), now.Add(-time.Minute)),
		"another key":     verify(ring(t, "b"), good, "me", []byte("body"), now),
		"without":         verify(keys, httptest.NewRequestWithContext(t.Context(), "POST", "/", nil), "me", nil, now),
		"many signatures": verify(keys, withHeader(good, scheme+" 1800000000 "+strings.Repeat("AA,", 1000)+"AA"), "me", []byte("body"), now),
	} {
		if !errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func withHeader(r *http.Request, authorization string) *http.Request {
	r = r.Clone(context.Background())
	r.Header.Set("Authorization", authorization)
	return r
}

// While keys are replaced on one daemon after the other, all of them go on knowing each other.
func TestSignaturesOutliveAChangeOfKeys(t *testing.T) {
	now := time.Now()
	for _, c := range [][2]*keyring.Ring{
		{ring(t, "n", "o"), ring(t, "o")}, {ring(t, "o"), ring(t, "n", "o")},
		{ring(t, "n", "o"), ring(t, "n")}, {ring(t, "n"), ring(t, "n", "o")},
	} {
		if err := verify(c[1], signed(t, c[0], "http://x/peer/act", "me", "", now), "me", nil, now); err != nil {
			t.Error(err)
		}
	}
}

// fixed is a list of daemons that does not change.
type fixed []store.Daemon

func (f fixed) Daemons(context.Context) ([]store.Daemon, error) { return f, nil }
func (f fixed) Announce(context.Context, store.Daemon) error    { return nil }

// An answer that is too long, a redirect, an error and a daemon without an address are said, each
// for itself.
func TestWhatADaemonAnswersIsBounded(t *testing.T) {
	long := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range mostAnswer/(1<<16) + 2 {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}))
	defer long.Close()
	away := httptest.NewServer(http.RedirectHandler(long.URL, http.StatusFound))
	defer away.Close()
	well := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[]")) }))
	defer well.Close()
	d := New(Options{Log: slog.New(slog.DiscardHandler), Say: func() store.Daemon { return store.Daemon{} }, Keys: func() *keyring.Ring { return ring(t, "a") }, Store: fixed{
		{ID: "0", Name: "self", Self: true, Alive: true}, {ID: "1", Name: "long", API: long.URL, Alive: true}, {ID: "2", Name: "away", API: away.URL, Alive: true},
		{ID: "3", Name: "well", API: well.URL, Alive: true}, {ID: "4", Name: "nowhere", Alive: true}, {ID: "5", Name: "dead", API: well.URL}, {ID: "6", API: well.URL, Alive: true},
	}})
	d.Look(t.Context())
	got := map[string]error{}
	for _, a := range d.Ask(t.Context(), Question{Method: "POST", Path: "/peer/waits", Patience: 10 * time.Second}) {
		got[a.Daemon.Name] = a.Err
	}
	if len(got) != 4 || got["well"] != nil || got["long"] == nil || got["away"] == nil || !errors.Is(got["nowhere"], errNoAddress) {
		t.Errorf("%v", got)
	}
}

// forgetful is a store that crashes after it was told something.
type forgetful struct{ said int }

func (f *forgetful) Daemons(context.Context) ([]store.Daemon, error) {
	me := store.Daemon{ID: "me", Self: true, Alive: true}
	if f.said > 1 {
		me.Name = "a"
	}
	return []store.Daemon{me}, nil
}

func (f *forgetful) Announce(context.Context, store.Daemon) error { f.said++; return nil }

// A crash of the database may lose what a daemon has said of itself: the others could not ask it any more.
func TestWhatTheStoreLostIsSaidAgain(t *testing.T) {
	f := &forgetful{}
	d := New(Options{Store: f, Keys: func() *keyring.Ring { return ring(t, "k") }, Log: slog.New(slog.DiscardHandler), Say: func() store.Daemon { return store.Daemon{Name: "a"} }})
	for range 5 {
		d.Look(t.Context())
	}
	if f.said != 2 {
		t.Errorf("it was said %d times, want once more after it was lost", f.said)
	}
}
