package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// Bounds of what a receiver keeps, whoever the senders are.
const (
	mostReceived = 32 << 20  // bytes of one body
	mostKept     = 256 << 20 // bytes of all bodies at a time
	mostSeen     = 10_000    // ids of deliveries
)

// receiver is the far side of a webhook.
type receiver struct {
	secret  string                  // "": nothing is verified
	key     *signature.VerifyingKey // of Standard Webhooks, where the secret is one
	brand   string
	first   bool // only the first requests fail
	status  int  // to answer with; 0: none in particular
	slow    time.Duration
	forward *forwarder // nil: nowhere
	show    func(received)
	now     func() time.Time
	pause   func(context.Context, time.Duration) bool

	mu     sync.Mutex
	fail   int // of the first requests, how many more
	kept   int
	seen   map[string]bool
	counts struct{ all, delivered, failed, refused, again int }
}

// received is one request, as --json prints it.
type received struct {
	At        time.Time       `json:"at"`
	Status    int             `json:"status"`    // answered with; 0: the sender did not wait for it
	Signature string          `json:"signature"` // verified, wrong, missing, not checked
	Result    string          `json:"result"`    // delivered, failed, refused
	Why       string          `json:"why,omitempty"`
	Type      string          `json:"type,omitempty"`
	ID        string          `json:"id,omitempty"` // the same on every attempt
	Again     bool            `json:"again,omitempty"`
	Reference string          `json:"reference,omitempty"`
	Path      string          `json:"path"`
	Bytes     int             `json:"bytes"`
	Event     json.RawMessage `json:"event,omitempty"`
}

const onPurpose = "on purpose"

// outcome says in a few words what became of a request.
func (r *received) outcome() string {
	text := r.Result
	switch {
	case r.Why == onPurpose:
		text += " " + r.Why
	case r.Why != "":
		text += ": " + r.Why
	}
	if r.Result != "refused" {
		text += ", signature " + r.Signature
	}
	if r.Again {
		text += ", again"
	}
	return text
}

// ServeHTTP receives one request. It trusts no part of it to be short, or to be text.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	got := received{At: r.now(), Path: req.URL.EscapedPath(), ID: r.id(req.Header), Reference: req.Header.Get(r.brand + "-reference")}
	body, status, why := r.read(w, req)
	defer r.release(len(body))
	got.Bytes = len(body)
	if status == 0 {
		got.Type, got.Event = look(body)
		got.Signature, status, why = r.verify(req.Header, body, got.At)
	}
	answer := answered{status: status, text: why}
	if status != 0 {
		got.Result, got.Why = "refused", why
	} else {
		answer, got.Why = r.answer(req, body)
		got.Result = "failed"
		if answer.status/100 == 2 {
			got.Result = "delivered"
		}
	}
	got.Status = answer.status
	if r.slow > 0 && !r.pause(req.Context(), r.slow) {
		got.Status, got.Result, got.Why = 0, "failed", "the sender did not wait"
	} else {
		answer.write(w)
	}
	r.count(&got)
	r.show(got)
}

// answer says how a verified request is answered, and why if that is no success.
func (r *receiver) answer(req *http.Request, body []byte) (a answered, why string) {
	if status := r.purpose(); status != 0 {
		if status/100 != 2 {
			why = onPurpose
		}
		return answered{status: status, text: why}, why
	}
	if r.forward != nil {
		return r.forward.hand(req, body)
	}
	return answered{status: http.StatusOK}, ""
}

// purpose is the status that the flags want for the next request; 0 leaves it open.
func (r *receiver) purpose() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.first {
		return r.status
	}
	if r.fail == 0 {
		return 0
	}
	r.fail--
	return cmp.Or(r.status, http.StatusInternalServerError)
}

// answered is what a request is answered with.
type answered struct {
	status      int
	contentType string
	text        string
}

func (a answered) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", or(a.contentType, "text/plain; charset=utf-8"))
	w.WriteHeader(a.status)
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		_, _ = io.WriteString(w, a.text)
	}
}

// id is the sender's id of the delivery, which is the same on every attempt.
func (r *receiver) id(h http.Header) string {
	return or(h.Get("x-"+r.brand+"-trace-id"), h.Get(signature.HeaderID))
}

// read reads the body; a status other than 0 refuses it. The bytes read count against mostKept until
// they are released.
func (r *receiver) read(w http.ResponseWriter, req *http.Request) (body []byte, status int, why string) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, http.StatusMethodNotAllowed, "webhooks are sent with POST"
	}
	var b bytes.Buffer
	_, err := io.Copy(&b, &counting{http.MaxBytesReader(w, req.Body, mostReceived), r})
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return b.Bytes(), http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d MiB", mostReceived>>20)
	}
	if errors.Is(err, errBusy) {
		return b.Bytes(), http.StatusServiceUnavailable, "too many bodies at a time"
	}
	if err != nil {
		return b.Bytes(), http.StatusBadRequest, "the body broke off"
	}
	return b.Bytes(), 0, ""
}

var errBusy = errors.New("too much is kept")

// counting counts what it reads against what the receiver may keep.
type counting struct {
	in io.Reader
	r  *receiver
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.kept += n
	if c.r.kept > mostKept {
		err = errBusy
	}
	return n, err
}

func (r *receiver) release(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept -= n
}

// count enters the request in the summary, and records whether its delivery came before.
func (r *receiver) count(got *received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &r.counts
	c.all++
	switch got.Result {
	case "delivered":
		c.delivered++
	case "failed":
		c.failed++
	default:
		c.refused++
		return
	}
	if id := cut(got.ID, 128); id != "" {
		if got.Again = r.seen[id]; got.Again {
			c.again++
		}
		if len(r.seen) >= mostSeen {
			clear(r.seen)
		}
		r.seen[id] = true
	}
}

// summary is the last line that the receiver prints.
func (r *receiver) summary() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &r.counts
	text := "Received " + count(c.all, "request")
	if c.all > 0 {
		text += fmt.Sprintf(": %d delivered, %d failed, %d refused; %d of them had come before", c.delivered, c.failed, c.refused, c.again)
	}
	return text + "."
}

// says returns a sentence on what is verified.
func (r *receiver) says() string {
	switch {
	case r.secret == "":
		return "Nothing is verified: --secret does."
	case r.key != nil:
		return "Signatures of Standard Webhooks and " + r.brand + "-signature are verified."
	}
	return "Signatures (" + r.brand + "-signature) are verified."
}

// look finds the type of an event. The event is nil where the body is no JSON.
func look(body []byte) (typ string, event json.RawMessage) {
	var head struct {
		Type string `json:"type"`
	}
	if !json.Valid(body) || !utf8.Valid(body) {
		return "", nil
	}
	_ = json.Unmarshal(body, &head) // another shape has no type
	return head.Type, body
}

// plain makes text of a stranger fit for a column: in ASCII its width is its length, and nothing in
// it can change the order of the line.
func plain(s string, most int) string {
	var b strings.Builder
	for _, c := range s {
		if b.Len() > most {
			break
		}
		if c > ' ' && c < 0x7f {
			b.WriteRune(c)
		} else {
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return cut(b.String(), most)
}
