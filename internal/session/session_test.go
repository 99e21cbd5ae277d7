package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// drawer keeps values in memory.
type drawer struct {
	mu     sync.Mutex
	values map[string][]byte
	err    error
}

func (d *drawer) Put(ctx context.Context, key string, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return d.err
	}
	d.values[key] = bytes.Clone(value)
	return ctx.Err()
}

func (d *drawer) Get(_ context.Context, key string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.values[key]
	if !ok {
		return nil, store.ErrNotFound
	}
	return v, nil
}

var (
	noon  = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	token = Token{"support", "print"}
	all   = func(Token) bool { return true }
)

func open(t *testing.T, v Values, now time.Time) *Desk {
	t.Helper()
	d, err := Open(t.Context(), v, now)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func begin(t *testing.T, d *Desk, now time.Time, life time.Duration) string {
	t.Helper()
	secret, _, err := d.Begin(t.Context(), token, now, life)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func link(t *testing.T, d *Desk, now time.Time) (string, Link) {
	t.Helper()
	code, l, err := d.MakeLink(t.Context(), Link{Token: token, Developer: "acme", May: []string{"read"}}, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return code, l
}

func TestSessionsEndInTime(t *testing.T) {
	d := open(t, &drawer{values: map[string][]byte{}}, noon)
	short, long := begin(t, d, noon, time.Hour), begin(t, d, noon, 1000*time.Hour)
	for at, want := range map[time.Duration][2]bool{0: {true, true}, time.Hour - 1: {true, true}, time.Hour: {false, true}, MaxLife - 1: {false, true}, MaxLife: {false, false}} {
		_, a := d.Find(t.Context(), short, noon.Add(at))
		_, b := d.Find(t.Context(), long, noon.Add(at))
		if [2]bool{a, b} != want {
			t.Errorf("after %v: %v %v", at, a, b)
		}
	}
	for _, secret := range []string{"", "fts_", "fts_x", short + "x", short[:len(short)-1], strings.ToUpper(short)} {
		if _, ok := d.Find(t.Context(), secret, noon); ok {
			t.Errorf("%q opens a session", secret)
		}
	}
	if err := d.End(t.Context(), short, noon); err != nil {
		t.Fatal(err)
	}
	if _, ok := d.Find(t.Context(), short, noon); ok {
		t.Error("an ended session lives")
	}
}

// What opens a session is nowhere in the store, and sessions outlive the process.
func TestTheStoreHasHashesAlone(t *testing.T) {
	v := &drawer{values: map[string][]byte{}}
	d := open(t, v, noon)
	secret := begin(t, d, noon, time.Hour)
	code, l := link(t, d, noon)
	used, _ := link(t, d, noon)
	second, s, err := d.UseLink(t.Context(), used, noon, all)
	if err != nil || s.Developer != "acme" || s.Link == "" {
		t.Fatalf("%+v %v", s, err)
	}
	for key, value := range v.values {
		for _, clear := range []string{secret, code, used, second, secret[4:], code[4:], used[4:], second[4:]} {
			if bytes.Contains(value, []byte(clear)) {
				t.Errorf("%s has it in clear: %s", key, value)
			}
		}
	}
	again := open(t, v, noon.Add(time.Minute))
	for _, secret := range []string{secret, second} {
		if _, ok := again.Find(t.Context(), secret, noon.Add(time.Minute)); !ok {
			t.Error("a session died with the process")
		}
	}
	if _, _, err := again.UseLink(t.Context(), used, noon, all); !errors.Is(err, ErrUnknown) {
		t.Errorf("a used link after a restart: %v", err)
	}
	if _, s, err := again.UseLink(t.Context(), code, noon, all); err != nil || s.Link != l.ID {
		t.Errorf("a link after a restart: %v", err)
	}
	if late := open(t, v, noon.Add(time.Hour)); len(late.all)+len(late.links) > 0 {
		t.Errorf("%d and %d that have expired", len(late.all), len(late.links))
	}
}

func TestALinkIsUsedOnce(t *testing.T) {
	d := open(t, &drawer{values: map[string][]byte{}}, noon)
	for range 20 {
		code, _ := link(t, d, noon)
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				_, _, err := d.UseLink(context.Background(), code, noon, all)
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, ErrUnknown) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d used it", won.Load())
		}
	}
}

func TestALinkThatIsOver(t *testing.T) {
	d := open(t, &drawer{values: map[string][]byte{}}, noon)
	code, l := link(t, d, noon)
	for name, use := range map[string]func() error{
		"expired": func() error { _, _, err := d.UseLink(t.Context(), code, noon.Add(time.Hour), all); return err },
		"unknown": func() error { _, _, err := d.UseLink(t.Context(), "ftl_x", noon, all); return err },
		"of a changed token": func() error {
			_, _, err := d.UseLink(t.Context(), code, noon, func(Token) bool { return false })
			return err
		},
	} {
		if err := use(); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	secret, s, err := d.UseLink(t.Context(), code, noon.Add(30*time.Minute), all)
	if err != nil || !s.Ends.Equal(noon.Add(time.Hour)) {
		t.Fatalf("it ends with its link: %+v %v", s, err)
	}
	if err := d.Revoke(t.Context(), l.ID, noon); err != nil {
		t.Fatal(err)
	}
	if _, ok := d.Find(t.Context(), secret, noon); ok || len(d.Links(t.Context(), noon)) > 0 {
		t.Error("the session of a revoked link lives")
	}
	if err := d.Revoke(t.Context(), l.ID, noon); !errors.Is(err, ErrUnknown) {
		t.Errorf("revoked twice: %v", err)
	}
	unused, l := link(t, d, noon)
	if err := d.Revoke(t.Context(), l.ID, noon); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.UseLink(t.Context(), unused, noon, all); !errors.Is(err, ErrUnknown) {
		t.Errorf("a revoked link: %v", err)
	}
}

// What ends with its token stays ended, should the token come back.
func TestSessionsEndWithTheirToken(t *testing.T) {
	v := &drawer{values: map[string][]byte{}}
	d := open(t, v, noon)
	secret := begin(t, d, noon, time.Hour)
	code, _ := link(t, d, noon)
	other, _, err := d.Begin(t.Context(), Token{"other", "print"}, noon, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Keep(t.Context(), noon, func(k Token) bool { return k.Name == "other" }); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, ok := d.Find(t.Context(), secret, noon); ok {
			t.Error("a session outlives its token")
		}
		if _, _, err := d.UseLink(t.Context(), code, noon, all); !errors.Is(err, ErrUnknown) {
			t.Errorf("a link outlives its token: %v", err)
		}
		if _, ok := d.Find(t.Context(), other, noon); !ok {
			t.Error("another token's session ended")
		}
		d = open(t, v, noon)
	}
}

func TestThereAreOnlySoMany(t *testing.T) {
	d := open(t, &drawer{values: map[string][]byte{}}, noon)
	first := begin(t, d, noon, time.Hour)
	var last string
	for i := range mostOfOne {
		last = begin(t, d, noon.Add(time.Duration(i+1)), time.Hour)
	}
	if _, ok := d.Find(t.Context(), first, noon); ok || len(d.all) != mostOfOne {
		t.Errorf("%d sessions of one token", len(d.all))
	}
	if _, ok := d.Find(t.Context(), last, noon); !ok {
		t.Error("the newest ended")
	}
	greedy, modest := Token{"greedy", "print"}, Token{"modest", "print"}
	for i := range mostLinks {
		name := fmt.Sprint(i)
		d.links[hashOf(name)] = Link{ID: name, Token: greedy, Created: noon.Add(time.Duration(i)), Ends: noon.Add(time.Hour)}
		d.all[hashOf("session "+name)] = Session{Token: greedy, Link: name, Begun: noon, Ends: noon.Add(time.Hour)}
	}
	if _, _, err := d.MakeLink(t.Context(), Link{Token: greedy}, noon, time.Hour); !errors.Is(err, ErrFull) {
		t.Errorf("one link too many: %v", err)
	}
	// Who fills the desk keeps nobody else from theirs.
	code, _, err := d.MakeLink(t.Context(), Link{Token: modest}, noon, time.Hour)
	if err != nil {
		t.Fatalf("another token's first link: %v", err)
	}
	if _, _, err := d.UseLink(t.Context(), code, noon, all); err != nil {
		t.Errorf("its session: %v", err)
	}
	if _, there := d.links[hashOf("0")]; there || len(d.links) != mostLinks {
		t.Errorf("%d links, the oldest among them: %v", len(d.links), there)
	}
	if _, there := d.all[hashOf("session 0")]; there {
		t.Error("the session of a link that ended lives")
	}
	begin(t, d, noon, time.Hour)
	if _, _, err := d.MakeLink(t.Context(), Link{Token: greedy}, noon.Add(time.Hour), time.Hour); err != nil {
		t.Errorf("a link after others have expired: %v", err)
	}
}

// Nothing lives longer because the clock was put back, in one process or over two.
func TestAClockThatIsPutBack(t *testing.T) {
	v := &drawer{values: map[string][]byte{}}
	d := open(t, v, noon)
	secret := begin(t, d, noon, time.Hour)
	code, l := link(t, d, noon)
	last := noon.Add(-24 * time.Hour)
	for _, again := range []*Desk{d, open(t, v, last)} {
		if _, ok := again.Find(t.Context(), secret, last); ok {
			t.Error("a session lives a day before it was begun")
		}
		if _, _, err := again.UseLink(t.Context(), code, last, all); !errors.Is(err, ErrUnknown) {
			t.Errorf("a link does: %v", err)
		}
	}
	little := noon.Add(-time.Minute)
	if _, ok := open(t, v, little).Find(t.Context(), secret, little); !ok {
		t.Errorf("a session ends with a clock that is set a little, and %s", l.ID)
	}
}

// What cannot be stored is not opened; what is ended, ends all the same.
func TestADiskThatIsFull(t *testing.T) {
	v := &drawer{values: map[string][]byte{}}
	d := open(t, v, noon)
	secret := begin(t, d, noon, time.Hour)
	code, l := link(t, d, noon)
	v.err = errors.New("no disk")
	if s, _, err := d.Begin(t.Context(), token, noon, time.Hour); err == nil {
		if _, ok := d.Find(t.Context(), s, noon); ok {
			t.Error("what could not be stored lives")
		}
		t.Error("a session was begun")
	}
	if _, _, err := d.UseLink(t.Context(), code, noon, all); err == nil {
		t.Error("a link was used")
	}
	if err := d.Revoke(t.Context(), l.ID, noon); err == nil || len(d.Links(t.Context(), noon)) != 0 {
		t.Errorf("revoked: %v, %d live", err, len(d.Links(t.Context(), noon)))
	}
	if err := d.End(t.Context(), secret, noon); err == nil {
		t.Error("ended without a word")
	}
	if _, ok := d.Find(t.Context(), secret, noon); ok {
		t.Error("it lives on")
	}
}

func TestDamagedValuesOpenNothing(t *testing.T) {
	v := &drawer{values: map[string][]byte{shardKey(3): []byte(`{"sessions":{"":{"ends":"2026-07-02T00:00:00Z"},"zz":{"ends":"2026-07-02T00:00:00Z"}}}`)}}
	if d := open(t, v, noon); len(d.all) != 0 {
		t.Errorf("%d sessions", len(d.all))
	}
	v.values[shardKey(4)] = []byte("{")
	if d := open(t, v, noon); len(d.all) != 0 {
		t.Errorf("%d sessions", len(d.all))
	}
}
