package keyring

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const (
	oldKey = "correct horse battery staple"
	newKey = "tomorrow's key, tomorrow's key"
)

func ring(t *testing.T, texts ...string) *Ring {
	t.Helper()
	var keys []secret.Value
	for _, text := range texts {
		keys = append(keys, secret.New(text))
	}
	r, err := New(keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOpenReturnsWhatWasSealed(t *testing.T) {
	r := ring(t, oldKey)
	for _, clear := range [][]byte{nil, {0}, []byte("url: https://acme.example"), bytes.Repeat([]byte("x"), 1<<20)} {
		sealed := r.Seal("frozen", clear)
		got, err := r.Open("frozen", sealed)
		if err != nil || !bytes.Equal(got, clear) {
			t.Fatalf("%d bytes: %d back, %v", len(clear), len(got), err)
		}
		if len(clear) > 8 && bytes.Contains(sealed, clear[:8]) {
			t.Error("the clear text shows")
		}
		if bytes.Equal(sealed, r.Seal("frozen", clear)) {
			t.Error("two seals are equal: the nonce is not random")
		}
	}
}

func TestSealLeavesItsInputAlone(t *testing.T) {
	clear := []byte("settings")
	r := ring(t, oldKey)
	sealed := r.Seal("x", clear)
	before := bytes.Clone(sealed)
	if _, err := r.Open("x", sealed); err != nil || string(clear) != "settings" || !bytes.Equal(sealed, before) {
		t.Error(err, string(clear))
	}
}

func TestOpenRefusesWhatWasChanged(t *testing.T) {
	r := ring(t, oldKey)
	sealed := r.Seal("frozen", []byte("settings"))
	for i := range sealed {
		for _, bit := range []byte{1, 0x80} {
			bad := bytes.Clone(sealed)
			bad[i] ^= bit
			clear, err := r.Open("frozen", bad)
			want := ErrDamaged
			if i >= 1 && i < headerSize {
				want = ErrUnknownKey
			}
			if !errors.Is(err, want) || clear != nil {
				t.Errorf("byte %d: %q %v, want %v", i, clear, err, want)
			}
		}
	}
	for n := range sealed {
		if _, err := r.Open("frozen", sealed[:n]); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := r.Open("frozen", append(bytes.Clone(sealed), 0)); !errors.Is(err, ErrDamaged) {
		t.Error("with a byte more:", err)
	}
	for _, label := range []string{"", "Frozen", "frozen2", "froze"} {
		if _, err := r.Open(label, sealed); !errors.Is(err, ErrDamaged) {
			t.Errorf("label %q: %v", label, err)
		}
	}
}

func TestRotationOpensTheOldAndKeepsFingerprints(t *testing.T) {
	before, after := ring(t, oldKey), ring(t, newKey, oldKey)
	sealed := before.Seal("frozen", []byte("settings"))
	if clear, err := after.Open("frozen", sealed); err != nil || string(clear) != "settings" {
		t.Error("sealed before the rotation:", err)
	}
	fresh := after.Seal("frozen", []byte("settings"))
	if _, err := before.Open("frozen", fresh); !errors.Is(err, ErrUnknownKey) {
		t.Error("the first key does not seal:", err)
	}
	if _, err := ring(t, newKey).Open("frozen", fresh); err != nil {
		t.Error("the new key alone:", err)
	}
	if _, err := ring(t, newKey).Open("frozen", sealed); !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), "`keys`") {
		t.Error("the old key is gone:", err)
	}
	b := []byte("settings")
	if before.Fingerprint(b) != after.Fingerprint(b) {
		t.Error("a key put in front changes the fingerprint")
	}
	if before.Fingerprint(b) == ring(t, newKey).Fingerprint(b) {
		t.Error("the fingerprint does not depend on the key")
	}
}

func TestEveryKeyThatCarriesTheIDIsTried(t *testing.T) {
	r := ring(t, newKey, oldKey)
	r.keys[0].id = r.keys[1].id // a collision
	if clear, err := r.Open("x", ring(t, oldKey).Seal("x", []byte("settings"))); err != nil || string(clear) != "settings" {
		t.Error(err)
	}
}

// The format outlives the program: this one must open what an older one sealed.
func TestStoredFormatIsStable(t *testing.T) {
	sealed, err := hex.DecodeString(goldenSealed)
	if err != nil {
		t.Fatal(err)
	}
	r := ring(t, oldKey)
	if clear, err := r.Open("golden", sealed); err != nil || string(clear) != "settings" {
		t.Errorf("%q %v; a fresh one is %x", clear, err, r.Seal("golden", []byte("settings")))
	}
	if got := r.Fingerprint([]byte("settings")); got != goldenFingerprint {
		t.Errorf("fingerprint %#x", got)
	}
}

func TestFingerprintTellsTextsApart(t *testing.T) {
	r := ring(t, oldKey)
	seen := map[uint64]int{}
	for i := range 10_000 {
		seen[r.Fingerprint(fmt.Append(nil, i))]++
	}
	if len(seen) != 10_000 || seen[0] != 0 {
		t.Errorf("%d of 10000 are distinct", len(seen))
	}
	if r.Fingerprint(nil) != r.Fingerprint([]byte{}) || r.Fingerprint(nil) == 0 {
		t.Error("nothing at all")
	}
}

func TestNewRefusesWeakKeysWithoutShowingThem(t *testing.T) {
	if _, err := New(nil); err == nil {
		t.Error("no key at all is accepted")
	}
	weak := strings.Repeat("w", MinKey-1)
	_, err := New([]secret.Value{secret.New(oldKey), secret.New(weak)})
	if err == nil || !strings.Contains(err.Error(), "keys[1]") || strings.Contains(err.Error(), weak) {
		t.Error(err)
	}
	if _, err := New([]secret.Value{{}}); err == nil {
		t.Error("an empty key is accepted")
	}
	ring(t, strings.Repeat("k", MinKey))
}

func TestRingShowsNoKey(t *testing.T) {
	r := ring(t, newKey, oldKey)
	holder := struct {
		r *Ring
		v Ring
	}{r, *r}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, strings.Repeat(verb+"\n", 4), r, *r, holder, &holder)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "r", r, "v", *r, "h", holder)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "r", r, "v", *r, "h", holder)
	j, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	for _, text := range []string{oldKey, newKey} {
		k, err := derive(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range [][]byte{[]byte(text), *k.print, *k.sign} {
			for _, shown := range forms(raw) {
				if strings.Contains(out.String(), shown) {
					t.Errorf("%q shows in\n%s", shown, out.String())
				}
			}
		}
	}
}

// forms lists how the first bytes of raw might be printed.
func forms(raw []byte) []string {
	raw = raw[:8]
	decimal := strings.Trim(fmt.Sprint(raw), "[]")
	return slices.Compact([]string{string(raw), fmt.Sprintf("%x", raw), fmt.Sprintf("%X", raw), decimal, strings.ReplaceAll(decimal, " ", ", "), fmt.Sprintf("%q", raw)})
}

func FuzzOpen(f *testing.F) {
	keys, err := New([]secret.Value{secret.New(oldKey)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add(keys.Seal("other", []byte("settings")))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if clear, err := keys.Open("fuzz", sealed); err == nil {
			t.Fatalf("opened %x to %q", sealed, clear)
		}
	})
}
