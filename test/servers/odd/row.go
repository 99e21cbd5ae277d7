package odd

import (
	"slices"
	"time"
)

// The approximate sizes of bodies. A body larger than the buffers of both ends shows whether it is sent on
// when it should be.
const (
	Small = 2 << 10
	Large = 3 << 19 // 1.5 MiB
	Huge  = 4 << 20
)

// Row is a server that misbehaves, and what must hold for an attempt at it. After the attempt the server
// is mended. The next delivery must arrive, whatever the answer before was.
type Row struct {
	Name string // begins with what it is about: once, upload, early, unsolicited, kept, malformed, compressed, held
	// Every says that the row is for every kind of destination. Other rows are for a kind whose far side has
	// accepted when it answers 2xx, whatever else the answer says.
	Every bool
	Over  []Transport // nil: Plain and TLS
	Sizes []int       // of bodies; nil: Small
	Times int         // how many deliveries are attempted, one after the other; 0: one
	Gap   time.Duration
	// Timeout is that of an attempt; 0: 10 s.
	Timeout time.Duration

	Kept   bool                  // the first request of each connection is answered soundly, and one goes before the attempt
	Once   bool                  // with Kept: that of the first connection alone
	Serve  func(*Conn, *Request) // answers a request whose head has arrived; nil: soundly
	Idle   func(*Conn)           // what happens on a kept connection before its next request
	Raw    func(*Conn)           // has the connection before TLS
	H2     func(*Stream)         // answers a request of HTTP/2
	MaxTLS uint16                // 0: the newest
	Window int                   // of what the server has not read; 0: the kernel's own choice

	Want Want
}

// Any is a status that does not matter.
const Any = -1

// Want is what must hold for one attempt.
type Want struct {
	Delivered bool
	Either    bool          // delivered or not
	Status    int           // of the answer that the attempt shows; 0: it shows none
	Wait      time.Duration // that the answer asked for
	Text      string        // a regular expression for the error
	Answer    string        // a regular expression for the excerpt of the answer
	Requests  int           // at most, and one at least; 0: exactly one
	Again     bool          // one more, where the first went over a kept connection
	None      bool          // no request arrives
	Foreign   bool          // the server speaks something else than HTTP
	Within    time.Duration // how long it may take; 0: the timeout, and what a busy machine takes
	Fresh     bool          // the next delivery comes over another connection
	Torn      bool          // delivered, though the server did not read the body whole
}

// Transports are those that the row is for.
func (r Row) Transports() []Transport {
	if r.Over == nil {
		return []Transport{Plain, TLS}
	}
	return r.Over
}

// Bodies are the sizes of bodies that the row is for.
func (r Row) Bodies() []int {
	if r.Sizes == nil {
		return []int{Small}
	}
	return r.Sizes
}

// Patience is the timeout of an attempt.
func (r Row) Patience() time.Duration {
	if r.Timeout == 0 {
		return time.Minute
	}
	return r.Timeout
}

// Rows is the table. refusal makes an answer of a status, in the form that the destination's service uses.
func Rows(refusal Refusal) []Row {
	return slices.Concat(early(refusal), repeats(refusal), afterwards(), keeping(), malformed(), held(refusal))
}

// Refusal makes an answer of a status that is no success. header is lines that each end with CRLF.
type Refusal func(status int, header string) string

// Plainly is the refusal of a server that says nothing but the status.
func Plainly(status int, header string) string { return Text(status, header, "no") }
