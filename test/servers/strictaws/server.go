// Package strictaws plays S3, SQS and STS in this process, for what no emulator enforces. It recomputes
// every signature. It refuses wrong credentials, external ids, expired sessions and denied permissions.
// It keeps the limits of SQS and the conditions and regions of S3. It fails on demand with the answers of
// the real services.
//
// It is strict with its callers too: an operation, a header or a member of a request that it does not
// know fails the test, because nobody has said what the real service would make of it.
//
// S3 is path-style only (/bucket/key). The service that a request is for is
// the one in the scope of its signature.
package strictaws

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// The user that every server knows from the start.
const (
	Account   = "111122223333"
	AccessKey = "AKIASTRICTAWSEXAMPLE"
	SecretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYSTRICTKEY"
)

// TB is what a Server needs of a test.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Cleanup(func())
}

// User is a long-lived key of an account.
type User struct{ AccessKey, SecretKey, Account string }

// Role may be assumed by every user who names its external id.
type Role struct {
	ARN        string        // arn:aws:iam::{account}:role/{name}
	ExternalID string        // "": none is asked for
	Life       time.Duration // of sessions, whatever they ask for; 0: as they ask
	Trust      string        // its trust policy; "": every user who names ExternalId
}

// Bucket is an S3 bucket to begin with.
type Bucket struct {
	Name   string
	Region string // "": the server's
	Owner  string // account; "": Account

	// Redirects answers requests signed for another region with 301, as the
	// endpoint of another region does, instead of 400.
	Redirects bool
	// KMSKeys are the keys that puts may name; any other is unknown.
	KMSKeys []string
	// RequireKMS denies puts that do not ask for SSE-KMS, as bucket policies do.
	RequireKMS bool

	Versioned     bool // keeps versions, as DeleteObjectVersion alone removes
	NoACLs        bool // its owner owns all objects in it, the default of new buckets
	RequesterPays bool // others than the owner are refused who do not offer to pay

	// What other services lack: they refuse conditions with 501, store what one
	// forbids, or refuse x-amz-checksum-sha256 with 400.
	NoConditions, IgnoresConditions, NoChecksums bool
}

// Queue is an SQS queue to begin with. A name that ends with .fifo makes it FIFO.
type Queue struct {
	Name         string
	Account      string   // "": Account
	Shared       []string // other accounts that its policy lets in
	ContentDedup bool     // ContentBasedDeduplication
	Policy       string   // its policy, beside Shared; "": none

	// HighThroughput makes deduplication apply within a group (DeduplicationScope messageGroup and
	// FifoThroughputLimit perMessageGroupId).
	HighThroughput bool
	MaxSize        int           // MaximumMessageSize; 0: 1 MiB
	Delay          time.Duration // DelaySeconds, which is shown and has no effect
	Visibility     time.Duration // VisibilityTimeout, likewise; 0: 30 s

	// KMSKey is the ARN of a key, or alias/aws/sqs, which only the queue's own account may use. With either,
	// senders need kms:GenerateDataKey and kms:Decrypt.
	KMSKey string
}

// Fault is an answer that an operation gives instead of doing its work.
type Fault struct {
	Status  int
	Code    string // as the service spells it; of SQS the query-compatible one
	Type    string // of SQS: the shape's name; "": Code
	Message string
	Header  http.Header
	Raw     string // the whole body, instead of what the service would write
	Echo    bool   // repeats the request's credentials in the message
	// Repeat makes the message of the credentials of the request; nil: Message is it.
	Repeat func(credentials ...string) string
	Hangs  bool // answers nothing until the client has gone
	Breaks bool // closes the connection instead of answering
	Done   bool // does the work first, so that only the answer is lost
	Times  int  // how many requests it lasts; 0: until Mend
}

// Server is one running server.
type Server struct {
	URL    string
	Region string // of every service here, and of buckets that name no other

	tb  TB
	web *httptest.Server

	mu       sync.Mutex
	offset   time.Duration
	users    map[string]*identity // by access key
	roles    map[string]Role
	denied   map[string]bool
	granted  map[string]*policy // of users by their access keys, of roles by their ARNs
	faults   map[string]*Fault
	entries  func(body string) (Fault, bool)
	requests map[string]int
	buckets  map[string]*bucket
	queues   map[string]*queue // by account/name
	ids      int
}

// New starts a server on a port of loopback that ends with tb.
func New(tb TB) *Server {
	s := &Server{
		Region: "eu-central-1", tb: tb,
		users: map[string]*identity{}, roles: map[string]Role{}, denied: map[string]bool{}, granted: map[string]*policy{}, faults: map[string]*Fault{},
		requests: map[string]int{}, buckets: map[string]*bucket{}, queues: map[string]*queue{},
	}
	s.AddUser(User{AccessKey, SecretKey, Account})
	s.web = httptest.NewServer(s)
	s.URL = s.web.URL
	tb.Cleanup(s.web.Close)
	return s
}

// AddUser makes a long-lived key known.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.AccessKey] = &identity{key: u.AccessKey, secret: u.SecretKey, account: u.Account, arn: "arn:aws:iam::" + u.Account + ":user/" + strings.ToLower(u.AccessKey)}
}

// RemoveUser makes a key unknown, as deleting or deactivating it does.
func (s *Server) RemoveUser(accessKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, accessKey)
}

// AddRole makes a role assumable.
func (s *Server) AddRole(r Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[r.ARN] = r
}

// Deny takes permissions from everybody, by their names in IAM: "s3:GetObject",
// "s3:ListBucket" (without which a missing object is 403), "sqs:SendMessage",
// "sts:AssumeRole", "kms:GenerateDataKey".
func (s *Server) Deny(actions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range actions {
		s.denied[a] = true
	}
}

// Fail makes an operation, by its name in the API ("PutObject", "SendMessage",
// "AssumeRole"; "*": every one), answer f after its signature was found good.
func (s *Server) Fail(operation string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[operation] = &f
}

// FailEntries makes single entries of SendMessageBatch fail: those for whose
// body fail returns true, with the Code and Message of the Fault. A Status of
// 500 or more is the service's own fault (SenderFault false).
func (s *Server) FailEntries(fail func(body string) (Fault, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = fail
}

// Mend ends all faults and denials. Users, roles, buckets and queues stay.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
	clear(s.denied)
	s.entries = nil
}

// Advance moves the server's clock: links and sessions expire, and requests
// signed now are soon refused for their time.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset += d
}

// Requests returns how many requests an operation has had, refused ones
// included; "*": all.
func (s *Server) Requests(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[operation]
}

func (s *Server) now() time.Time { return time.Now().Add(s.offset).UTC() }

// strange reports a request that the server does not know.
func (s *Server) strange(format string, args ...any) *refusal {
	s.tb.Errorf("strictaws: "+format, args...)
	return &refusal{http.StatusNotImplemented, "NotImplemented", "", fmt.Sprintf(format, args...)}
}

func (s *Server) nextID() string {
	s.ids++
	return fmt.Sprintf("%08d-0000-4000-8000-%012d", s.ids, s.ids)
}

// call is one request on its way.
type call struct {
	w    http.ResponseWriter
	r    *http.Request
	body []byte
	who  *identity
	sig  signature
	id   string // of the request
}

// maxBody is above every limit that is enforced.
const maxBody = 64 << 20

// ServeHTTP answers one request. Requests are served one at a time: the real services promise for
// concurrent requests what requests one after the other would get.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return // the client has gone
	}
	s.mu.Lock()
	c := &call{w: w, r: r, body: body, id: s.nextID()}
	var answer func()
	var hold *Fault
	out := &buffered{header: http.Header{}}
	c.w = out
	sig, refused := readSignature(r)
	c.sig = sig
	switch {
	case refused != nil:
		answer = func() { c.refuse(guess(r), refused) }
	case sig.service == "s3":
		answer, hold = s.operate(c, s3Operation(r), s.s3)
	case sig.service == "sqs":
		answer, hold = s.operate(c, sqsOperation(r), s.sqs)
	case sig.service == "sts":
		answer, hold = s.operate(c, stsOperation(r, body), s.sts)
	default:
		answer = func() { c.refuse("s3", s.strange("a request signed for the service %q", sig.service)) }
	}
	if answer != nil {
		answer()
	}
	s.mu.Unlock()
	if hold != nil && hold.Hangs {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	if hold != nil && hold.Breaks {
		panic(http.ErrAbortHandler)
	}
	out.flush(w, r.Method)
}

// operate verifies the signature, then answers with a fault or with serve.
func (s *Server) operate(c *call, operation string, serve func(*call, string) *refusal) (answer func(), hold *Fault) {
	s.requests[operation]++
	s.requests["*"]++
	service := c.sig.service
	if operation == "" {
		return func() {
			c.refuse(service, s.strange("unknown operation: %s %s %s", c.r.Method, c.r.URL, c.r.Header.Get("X-Amz-Target")))
		}, nil
	}
	if refused := s.authenticate(c); refused != nil {
		return func() { c.refuse(service, refused) }, nil
	}
	f := s.fault(operation)
	if f != nil && !f.Done {
		return func() { c.fail(service, f) }, f
	}
	if f != nil {
		if refused := serve(c, operation); refused != nil {
			return func() { c.refuse(service, refused) }, nil
		}
		c.w.(*buffered).reset()
		return func() { c.fail(service, f) }, f
	}
	return func() {
		if refused := serve(c, operation); refused != nil {
			c.w.(*buffered).reset()
			c.refuse(service, refused)
		}
	}, nil
}

func (s *Server) fault(operation string) *Fault {
	for _, name := range []string{operation, "*"} {
		f := s.faults[name]
		if f == nil {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				delete(s.faults, name)
			}
		}
		return f
	}
	return nil
}

// allowed returns the refusal of a permission that was denied.
func (s *Server) allowed(c *call, action, resource string) *refusal {
	if s.denied[action] {
		return denied(c.who, action, resource)
	}
	return s.identityAllows(c.who, action, resource)
}

// unknownHeaders fails the test for headers that are not in known, which has
// canonical names and prefixes that end with a hyphen.
func (s *Server) unknownHeaders(c *call, known ...string) *refusal {
	for name := range c.r.Header {
		if !slices.ContainsFunc(slices.Concat(plainHeaders, known), func(k string) bool {
			return k == name || strings.HasSuffix(k, "-") && strings.HasPrefix(name, k)
		}) {
			return s.strange("unknown header in %s %s: %s", c.r.Method, c.r.URL.Path, name)
		}
	}
	return nil
}

// plainHeaders are those that every SDK's every request may have.
var plainHeaders = []string{
	"Accept-Encoding", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "Authorization", "Connection", "Content-Length", "Content-Type", "Expect",
	"User-Agent", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Security-Token",
}

// buffered keeps an answer until it is known that it will be given.
type buffered struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (b *buffered) Header() http.Header         { return b.header }
func (b *buffered) WriteHeader(status int)      { b.status = status }
func (b *buffered) Write(p []byte) (int, error) { return b.body.Write(p) }
func (b *buffered) reset()                      { *b = buffered{header: http.Header{}} }

func (b *buffered) flush(w http.ResponseWriter, method string) {
	for name, values := range b.header {
		w.Header()[name] = values
	}
	if b.header.Get("Content-Length") == "" {
		w.Header().Set("Content-Length", fmt.Sprint(b.body.Len()))
	}
	if b.status == 0 {
		b.status = http.StatusOK
	}
	w.WriteHeader(b.status)
	if method != http.MethodHead {
		_, _ = w.Write(b.body.Bytes())
	}
}
