package clients

import (
	"crypto/ed25519"
	"encoding/base64"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// signed is a delivery as a receiver gets it, and what verification must make of it.
type signed struct {
	Name    string            `json:"name"`
	Scheme  string            `json:"scheme"` // terra, standard
	Secrets []string          `json:"secrets"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"` // base64
	Now     int64             `json:"now"`
	Want    string            `json:"want"` // "ok", or the code of the error
}

// signatures are cases made with pkg/signature, which the clients share no code with.
func signatures(t *testing.T) (all []signed) {
	t.Helper()
	const secret, other = "66142e0c2960f788b19830807d4aa25c", "another-secret-of-acme"
	at := time.Unix(1782897154, 0)
	strange := []byte("{ \"type\":\"auth\",\n\t\"x\":\"\u00e9\\u0000\" }\n")
	terra := func(name, want string, secrets []string, header string, b []byte, now time.Time) {
		all = append(all, signed{name, "terra", secrets, map[string]string{"Terra-Signature": header, "x-terra-trace-id": "trace-1"}, b, now.Unix(), want})
	}
	good := signature.Sign(secret, at, strange)
	terra("genuine", "ok", []string{secret}, good, strange, at)
	terra("the old secret", "ok", []string{other, secret}, good, strange, at)
	terra("the new secret", "ok", []string{secret, other}, good, strange, at)
	terra("another secret", "mismatch", []string{other}, good, strange, at)
	terra("body changed", "mismatch", []string{secret}, good, append([]byte(" "), strange...), at)
	terra("at the tolerance", "ok", []string{secret}, good, strange, at.Add(signature.Tolerance))
	terra("stale", "time", []string{secret}, good, strange, at.Add(signature.Tolerance+time.Second))
	terra("of the future", "time", []string{secret}, good, strange, at.Add(-signature.Tolerance-time.Second))
	terra("no JSON", "body", []string{secret}, signature.Sign(secret, at, []byte("x")), []byte("x"), at)
	_, sum, _ := strings.Cut(good, ",v1=")
	for _, bad := range []string{
		"", "x", "t=", "v1=" + sum, "t=1782897154", "t=01782897154,v1=" + sum, "t=1782897154,v1=" + strings.ToUpper(sum), "t=1782897154,v1=" + sum + "0", "t=1782897154,v1=" + sum[1:],
		"t=1782897154, v1=" + sum, good + "," + "v1=" + sum, "t=" + strings.Repeat("9", 5000) + ",v1=" + sum, "t=\u0661782897154,v1=" + sum, good + "\n",
	} {
		terra("malformed "+strconv.Quote(bad)[:min(30, len(strconv.Quote(bad)))], "malformed", []string{secret}, bad, strange, at)
	}

	hash := "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	hash2 := "whsec_" + base64.StdEncoding.EncodeToString([]byte("fedcba9876543210fedcba9876543210"))
	private := "whsk_" + base64.StdEncoding.EncodeToString(ed25519.NewKeyFromSeed([]byte("0123456789abcdef0123456789abcdef")))
	keys := map[string]signature.SigningKey{}
	for _, text := range []string{hash, hash2, private} {
		k, err := signature.ParseSigningKey(text)
		if err != nil {
			t.Fatal(err)
		}
		keys[text] = k
	}
	public := keys[private].Public()
	standard := func(name, want string, secrets []string, id, stamp, sums string, b []byte, now time.Time) {
		all = append(all, signed{name, "standard", secrets, map[string]string{"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": sums}, b, now.Unix(), want})
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	one := keys[hash].Sign("id_1", at, strange)
	both := signature.SignStandard([]signature.SigningKey{keys[hash2], keys[hash]}, "id_1", at, strange)
	asymmetric := keys[private].Sign("id_1", at, strange)
	standard("genuine", "ok", []string{hash}, "id_1", stamp, one, strange, at)
	standard("two signatures", "ok", []string{hash}, "id_1", stamp, both, strange, at)
	standard("two secrets", "ok", []string{hash2, hash}, "id_1", stamp, one, strange, at)
	standard("ed25519", "ok", []string{public}, "id_1", stamp, asymmetric, strange, at)
	standard("ed25519 beside HMAC", "ok", []string{hash2, public}, "id_1", stamp, one+" "+asymmetric, strange, at)
	standard("ed25519, body changed", "mismatch", []string{public}, "id_1", stamp, asymmetric, append([]byte(" "), strange...), at)
	standard("ed25519, cut", "mismatch", []string{public}, "id_1", stamp, "v1a,"+base64.StdEncoding.EncodeToString(make([]byte, 63)), strange, at)
	standard("ed25519, zero", "mismatch", []string{public}, "id_1", stamp, "v1a,"+base64.StdEncoding.EncodeToString(make([]byte, 64)), strange, at)
	standard("ed25519, s beyond the order", "mismatch", []string{public}, "id_1", stamp, "v1a,"+base64.StdEncoding.EncodeToString(beyond(t, asymmetric)), strange, at)
	standard("HMAC under the public key's name", "mismatch", []string{public}, "id_1", stamp, strings.Replace(one, "v1,", "v1a,", 1), strange, at)
	standard("another id", "mismatch", []string{hash}, "id_2", stamp, one, strange, at)
	standard("another time", "mismatch", []string{hash}, "id_1", strconv.FormatInt(at.Unix()+1, 10), one, strange, at)
	standard("unknown version", "mismatch", []string{hash}, "id_1", stamp, strings.Replace(one, "v1,", "v2,", 1), strange, at)
	standard("base64 without padding", "mismatch", []string{hash}, "id_1", stamp, strings.TrimRight(one, "="), strange, at)
	standard("base64 with stray bits", "mismatch", []string{hash}, "id_1", stamp, stray(one), strange, at)
	standard("stale", "time", []string{hash}, "id_1", stamp, one, strange, at.Add(signature.Tolerance+time.Second))
	standard("no id", "malformed", []string{hash}, "", stamp, one, strange, at)
	standard("a full stop in the id", "malformed", []string{hash}, "id.1", stamp, one, strange, at)
	standard("no time", "malformed", []string{hash}, "id_1", "", one, strange, at)
	standard("33 signatures", "malformed", []string{hash}, "id_1", stamp, strings.Repeat(one+" ", 32)+one, strange, at)
	return all
}

// beyond is a signature of ed25519 whose second half is another number of the same remainder, which RFC 8032 refuses.
func beyond(t *testing.T, signature string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signature, "v1a,"))
	if err != nil {
		t.Fatal(err)
	}
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	number := slices.Clone(raw[32:])
	slices.Reverse(number)
	sum := new(big.Int).Add(new(big.Int).SetBytes(number), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	return append(raw[:32:32], sum...)
}

// stray is the same signature in base64 whose last character has bits that belong to no byte.
func stray(signature string) string {
	b := []byte(signature)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	at := len(b) - 2
	b[at] = alphabet[strings.IndexByte(alphabet, b[at])|1]
	return string(b)
}
