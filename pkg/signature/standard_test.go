package signature_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/seed-51f8da91/fantail/pkg/event/samples"
	"github.com/seed-51f8da91/fantail/pkg/signature"
)

const (
	secretKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	messageID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
)

// pair returns an ed25519 key made of one repeated byte, and its public half.
func pair(t testing.TB, b byte) (private, public string) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
	return "whsk_" + base64.StdEncoding.EncodeToString(key), "whpk_" + base64.StdEncoding.EncodeToString(key[ed25519.SeedSize:])
}

func signing(t testing.TB, text string) signature.SigningKey {
	t.Helper()
	k, err := signature.ParseSigningKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func verifying(t testing.TB, text string) signature.VerifyingKey {
	t.Helper()
	k, err := signature.ParseVerifyingKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The vector is that of the reference library's own test.
func TestStandardReproducesTheReferenceVector(t *testing.T) {
	got := signing(t, secretKey).Sign(messageID, time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestReferenceLibraryVerifiesOurs(t *testing.T) {
	lib, err := standardwebhooks.NewWebhook(secretKey)
	if err != nil {
		t.Fatal(err)
	}
	private, _ := pair(t, 7)
	keys := []signature.SigningKey{signing(t, private), signing(t, "whsec_"+strings.Repeat("b", 32)), signing(t, secretKey)}
	at := time.Now() // the library reads the clock
	for _, name := range samples.Names() {
		body, err := samples.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		h.Set(signature.HeaderID, messageID)
		h.Set(signature.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
		h.Set(signature.HeaderSignature, signature.SignStandard(keys, messageID, at, body))
		if err := lib.Verify(body, h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := lib.Verify(append(body, ' '), h); err == nil {
			t.Errorf("%s: a changed body is accepted", name)
		}
		theirs, err := lib.Sign(messageID, at, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := signature.VerifyStandard([]signature.VerifyingKey{verifying(t, secretKey)}, messageID, h.Get(signature.HeaderTimestamp), theirs, body, at, signature.Tolerance); err != nil {
			t.Errorf("%s: we refuse theirs: %v", name, err)
		}
	}
}

func TestStandardWithEd25519(t *testing.T) {
	private, public := pair(t, 7)
	key, body := signing(t, private), []byte(`{"type":"x"}`)
	got, ok := strings.CutPrefix(key.Sign("id_1", now, body), "v1a,")
	sum, err := base64.StdEncoding.DecodeString(got)
	if !ok || err != nil {
		t.Fatal(got, err)
	}
	pub, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(public, "whpk_"))
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(pub, fmt.Appendf(nil, "id_1.%d.%s", now.Unix(), body), sum) {
		t.Error("crypto/ed25519 refuses ours")
	}
	if key.Public() != public || signing(t, secretKey).Public() != "" {
		t.Error("public key", key.Public())
	}
	seed, _, _ := strings.Cut(private, "=")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(seed, "whsk_") + "==")
	if err != nil {
		t.Fatal(err)
	}
	if short := signing(t, "whsk_"+base64.StdEncoding.EncodeToString(raw[:32])); short.Public() != public {
		t.Error("the seed alone gives another key")
	}
}

func TestVerifyStandard(t *testing.T) {
	private, public := pair(t, 7)
	otherPrivate, otherPublic := pair(t, 8)
	const other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	body, unix := []byte(`{"type":"x"}`), strconv.FormatInt(now.Unix(), 10)
	sign := func(texts ...string) string {
		var keys []signature.SigningKey
		for _, text := range texts {
			keys = append(keys, signing(t, text))
		}
		return signature.SignStandard(keys, "id_1", now, body)
	}
	tests := []struct {
		name       string
		keys       []string
		id, t      string
		signatures string
		body       string
		want       error
	}{
		{"hmac", []string{secretKey}, "id_1", unix, sign(secretKey), string(body), nil},
		{"ed25519", []string{public}, "id_1", unix, sign(private), string(body), nil},
		{"rotation, the old receiver", []string{other}, "id_1", unix, sign(secretKey, other), string(body), nil},
		{"rotation, the new receiver", []string{secretKey}, "id_1", unix, sign(secretKey, other), string(body), nil},
		{"both schemes", []string{public}, "id_1", unix, sign(secretKey, private), string(body), nil},
		{"two keys of the receiver", []string{other, public, secretKey}, "id_1", unix, sign(secretKey), string(body), nil},
		{"unknown versions too", []string{secretKey}, "id_1", unix, "v2,AAAA x v1 " + sign(secretKey), string(body), nil},

		{"another key", []string{other}, "id_1", unix, sign(secretKey), string(body), signature.ErrMismatch},
		{"another pair", []string{otherPublic}, "id_1", unix, sign(private), string(body), signature.ErrMismatch},
		{"the other scheme", []string{public}, "id_1", unix, sign(secretKey), string(body), signature.ErrMismatch},
		{"another body", []string{secretKey, public}, "id_1", unix, sign(secretKey, private), "{}", signature.ErrMismatch},
		{"another id", []string{secretKey, public}, "id_2", unix, sign(secretKey, private), string(body), signature.ErrMismatch},
		{"another time", []string{secretKey, public}, "id_1", "1", sign(secretKey, private), string(body), signature.ErrMismatch},
		{"hmac as ed25519", []string{public, secretKey}, "id_1", unix, strings.Replace(sign(secretKey), "v1,", "v1a,", 1), string(body), signature.ErrMismatch},
		{"ed25519 as hmac", []string{public, secretKey}, "id_1", unix, strings.Replace(sign(private), "v1a,", "v1,", 1), string(body), signature.ErrMismatch},
		{"no keys", nil, "id_1", unix, sign(secretKey), string(body), signature.ErrMismatch},
		{"no signature", []string{secretKey}, "id_1", unix, "", string(body), signature.ErrMismatch},
		{"an empty one", []string{secretKey, public}, "id_1", unix, "v1, v1a,", string(body), signature.ErrMismatch},
		{"not base64", []string{secretKey, public}, "id_1", unix, "v1,? v1a,?", string(body), signature.ErrMismatch},
		{"the fields moved", []string{secretKey}, "id_1." + unix, unix, sign(secretKey), string(body), signature.ErrMalformed},
		{"no id", []string{secretKey}, "", unix, sign(secretKey), string(body), signature.ErrMalformed},
		{"no time", []string{secretKey}, "id_1", "", sign(secretKey), string(body), signature.ErrMalformed},
		{"not a time", []string{secretKey}, "id_1", "now", sign(secretKey), string(body), signature.ErrMalformed},
		{"a flood", []string{secretKey}, "id_1", unix, strings.Repeat("v1,AAAA ", 32) + sign(secretKey), string(body), signature.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var keys []signature.VerifyingKey
			for _, text := range tt.keys {
				keys = append(keys, verifying(t, text))
			}
			err := signature.VerifyStandard(keys, tt.id, tt.t, tt.signatures, []byte(tt.body), now, time.Second)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	for _, text := range []string{secretKey, otherPrivate} {
		k := signing(t, text)
		s := k.Sign("id_1", now, body)
		keys := []signature.VerifyingKey{k.Verifying()}
		if err := signature.VerifyStandard(keys, "id_1", unix, s, body, now, time.Second); err != nil {
			t.Error(err)
		}
		late := now.Add(signature.Tolerance + time.Second)
		if err := signature.VerifyStandard(keys, "id_1", unix, s, body, late, signature.Tolerance); !errors.Is(err, signature.ErrTime) {
			t.Error(err)
		}
	}
	forged := signature.SigningKey{}.Sign("id_1", now, body) // anybody can make it
	if err := signature.VerifyStandard([]signature.VerifyingKey{{}}, "id_1", unix, forged, body, now, time.Second); !errors.Is(err, signature.ErrMismatch) {
		t.Error("the zero key:", err)
	}
}

func TestKeysOfTheWrongFormAreRefusedWithoutShowing(t *testing.T) {
	private, public := pair(t, 7)
	enc := func(n int) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), n)) }
	for name, text := range map[string]string{
		"empty":              "",
		"no prefix":          strings.TrimPrefix(secretKey, "whsec_"),
		"plain text":         "a perfectly good secret",
		"prefix alone":       "whsec_",
		"capitals":           "WHSEC_" + enc(24),
		"space before":       " " + secretKey,
		"line break behind":  secretKey + "\n",
		"line break inside":  "whsec_" + enc(24)[:8] + "\n" + enc(24)[8:],
		"url alphabet":       "whsec_" + strings.Repeat("-_", 16),
		"no padding":         "whsec_" + strings.TrimRight(enc(25), "="),
		"too short":          "whsec_" + enc(23),
		"too long":           "whsec_" + enc(65),
		"private too short":  "whsk_" + enc(31),
		"private between":    "whsk_" + enc(48),
		"private torn":       "whsk_" + enc(64),
		"public too long":    "whpk_" + enc(33),
		"private for public": strings.Replace(public, "whpk_", "whsec_ ", 1),
	} {
		_, serr := signature.ParseSigningKey(text)
		_, verr := signature.ParseVerifyingKey(text)
		for _, err := range []error{serr, verr} {
			if err == nil {
				t.Errorf("%s: accepted", name)
			} else if len(text) > 8 && strings.Contains(err.Error(), strings.TrimSpace(text)[6:]) {
				t.Errorf("%s: the key shows: %v", name, err)
			}
		}
	}
	if _, err := signature.ParseSigningKey(public); err == nil {
		t.Error("a public key signs")
	}
	if _, err := signature.ParseVerifyingKey(private); err == nil {
		t.Error("a receiver takes a private key")
	}
	for _, n := range []int{24, 64} {
		signing(t, "whsec_"+enc(n))
	}
}

func TestKeysShowNowhere(t *testing.T) {
	private, _ := pair(t, 'P')
	keys := []any{signing(t, secretKey), signing(t, private), verifying(t, secretKey)}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secretKey, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, k := range keys {
		holder := struct{ k any }{k}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+verb, k, holder)
		}
		j, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(j)
	}
	for _, shown := range []string{string(raw), fmt.Sprintf("%x", raw), "MfKQ9r8G", "PPPP", "5050", "80 80", "UFBQ"} {
		if strings.Contains(out.String(), shown) {
			t.Errorf("%q shows in %s", shown, out.String())
		}
	}
}

func FuzzVerifyStandard(f *testing.F) {
	private, public := pair(f, 7)
	keys := []signature.VerifyingKey{verifying(f, secretKey), verifying(f, public)}
	own := []signature.SigningKey{signing(f, private), signing(f, secretKey)}
	body := []byte(`{"type":"x"}`)
	f.Add(messageID, "1614265330", signature.SignStandard(own, messageID, now, body), body)
	f.Add("", "", "v1, v1a,", []byte{})
	f.Fuzz(func(t *testing.T, id, unix, signatures string, body []byte) {
		if err := signature.VerifyStandard(keys, id, unix, signatures, body, now, 1<<62); err == nil {
			sec, err := strconv.ParseInt(unix, 10, 64)
			made := signature.SignStandard(own, id, time.Unix(sec, 0), body)
			ours := strings.Fields(made)
			if err != nil || !strings.Contains(signatures, ours[0]) && !strings.Contains(signatures, ours[1]) {
				t.Fatalf("accepted %q %q %q", id, unix, signatures)
			}
		}
	})
}

func FuzzParseSigningKey(f *testing.F) {
	private, public := pair(f, 7)
	for _, text := range []string{secretKey, private, public, "whsk_", "x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := signature.ParseSigningKey(text)
		if err != nil {
			return
		}
		s := k.Sign("id", now, []byte("x"))
		if err := signature.VerifyStandard([]signature.VerifyingKey{k.Verifying()}, "id", strconv.FormatInt(now.Unix(), 10), s, []byte("x"), now, time.Second); err != nil {
			t.Fatal(err)
		}
	})
}
