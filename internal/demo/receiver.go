package demo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// receiver is a customer's endpoint. It trusts nothing that the sender says:
// it recomputes every signature itself and knows the bytes it should get.
type receiver struct {
	secret string
	fail   int  // refuse that many requests, then recover
	hang   bool // never answer
	server *httptest.Server

	mu       sync.Mutex
	expected map[[32]byte]string // name of the sample by the hash of its bytes
	got      map[string]int      // arrivals by trace id
	refused  int
	wrong    map[string]int // what was wrong with requests, by reason
}

func newReceiver(secret string) *receiver {
	r := &receiver{secret: secret, expected: map[[32]byte]string{}, got: map[string]int{}, wrong: map[string]int{}}
	r.server = httptest.NewServer(r)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	if r.hang {
		<-req.Context().Done()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if why := verify(r.secret, req.Header.Get("terra-signature"), body, time.Now()); why != "" {
		r.wrong[why]++
		http.Error(w, why, http.StatusUnauthorized)
		return
	}
	if _, known := r.expected[sha256.Sum256(body)]; !known {
		r.wrong["the body is not, byte for byte, what was sent"]++
		http.Error(w, "unknown body", http.StatusBadRequest)
		return
	}
	if r.refused < r.fail {
		r.refused++
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
		return
	}
	r.got[req.Header.Get("x-terra-trace-id")]++
}

// verify is written from the contract and shares no code with the sender: the
// header is t=<unix seconds>,v1=<hex HMAC-SHA256 over t.body>, at most 300 s old.
func verify(secret, header string, body []byte, now time.Time) (why string) {
	stamp, ok := strings.CutPrefix(header, "t=")
	stamp, sum, cut := strings.Cut(stamp, ",v1=")
	at, err := strconv.ParseInt(stamp, 10, 64)
	if !ok || !cut || err != nil {
		return "the signature header is malformed"
	}
	if age := now.Sub(time.Unix(at, 0)); age.Abs() > 300*time.Second {
		return "the signature is too old"
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, stamp+".")
	mac.Write(body)
	if got, err := hex.DecodeString(sum); err != nil || !hmac.Equal(got, mac.Sum(nil)) {
		return "the signature does not verify"
	}
	return ""
}
