package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Writer makes the puts of one client. It knows what the service that it speaks
// to lacks, and takes for stored only what S3 would say of an object that is.
type Writer struct {
	client                *s3.Client
	checksums, conditions lack
}

// NewWriter returns a writer over client.
func NewWriter(client *s3.Client) *Writer { return &Writer{client: client} }

// Content is the bytes of an object, with what its puts need of them.
type Content struct {
	body     []byte
	checksum string // SHA-256, base64: the service stores nothing else, and Object Lock asks for one
	upload   func(*s3.Options)
}

// NewContent hashes body, which must not change any more.
func NewContent(body []byte) *Content {
	sum := sha256.Sum256(body)
	return &Content{body, base64.StdEncoding.EncodeToString(sum[:]), Upload(body, sum)}
}

// ErrUnconditional is what a put on a condition ends with where the service knows
// no conditions.
var ErrUnconditional = errors.New("the service knows no conditional writes")

// Stored is what the service says of an object that it has taken.
type Stored struct {
	ETag    string
	Version string // "" in a bucket without any
}

// Put stores c as in says, which has neither body nor checksum, in one request.
// A second one is made where the first finds out that the service refuses
// checksums; that, and that it knows no conditions, is remembered for an hour.
func (w *Writer) Put(ctx context.Context, in s3.PutObjectInput, c *Content) (Stored, error) {
	conditional := in.IfMatch != nil || in.IfNoneMatch != nil
	if conditional && w.conditions.noted() {
		return Stored{}, ErrUnconditional
	}
	s, err := w.put(ctx, in, c)
	if conditional && refusesConditions(err) {
		w.conditions.note()
		return Stored{}, ErrUnconditional
	}
	return s, err
}

// NoteUnconditional remembers for an hour that the service ignores conditions.
func (w *Writer) NoteUnconditional() { w.conditions.note() }

func (w *Writer) put(ctx context.Context, in s3.PutObjectInput, c *Content) (Stored, error) {
	if w.checksums.noted() {
		return w.once(ctx, in, c)
	}
	in.ChecksumSHA256 = &c.checksum
	s, err := w.once(ctx, in, c)
	if !mayRefuseChecksums(err) {
		return s, err
	}
	in.ChecksumSHA256 = nil
	s, without := w.once(ctx, in, c)
	if without == nil || Taken(without) || Busy(without) {
		w.checksums.note()
		return s, without
	}
	return Stored{}, err
}

// NoConditions tells whether the service has lately shown that it knows none.
func (w *Writer) NoConditions() bool { return w.conditions.noted() }

// NoChecksums tells whether the service has lately refused checksums.
func (w *Writer) NoChecksums() bool { return w.checksums.noted() }

// once makes one request.
func (w *Writer) once(ctx context.Context, in s3.PutObjectInput, c *Content) (Stored, error) {
	in.Body = bytes.NewReader(c.body)
	out, err := w.client.PutObject(ctx, &in, c.upload)
	if err != nil {
		return Stored{}, err
	}
	if err := answeredByS3(out.ResultMetadata, out.ETag, http.MethodPut); err != nil {
		return Stored{}, err
	}
	if out.ChecksumSHA256 != nil && *out.ChecksumSHA256 != c.checksum {
		return Stored{}, errors.New("the service says that it stored other bytes than were sent")
	}
	s := Stored{ETag: *out.ETag}
	if out.VersionId != nil {
		s.Version = *out.VersionId
	}
	return s, nil
}

// Taken tells whether a put on a condition failed since something else lies under
// its key. That is 412; some services say 304, which is for reading, or 409 without
// the code that S3 has for those who write at this moment.
func Taken(err error) bool {
	switch Status(err) {
	case http.StatusPreconditionFailed, http.StatusNotModified:
		return true
	case http.StatusConflict:
		_, known := meanings[Code(err)]
		return !known && !atOnce[Code(err)]
	}
	return false
}

// atOnce are the codes of 409 that S3 gives to whoever writes what another one
// writes at this moment; "" is of those who do not say.
var atOnce = map[string]bool{"ConditionalRequestConflict": true, "OperationAborted": true, "Conflict": true, "": true}

// Busy tells whether a put failed since somebody else writes its key at this moment.
func Busy(err error) bool { return Status(err) == http.StatusConflict && atOnce[Code(err)] }

// Head looks at an object, by GET where the service knows no HEAD. An answer that S3
// would not give is an error.
func Head(ctx context.Context, client *s3.Client, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	out, err := client.HeadObject(ctx, in)
	if status := Status(err); status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented {
		return headByGet(ctx, client, in)
	}
	if err != nil {
		return nil, err
	}
	return out, answeredByS3(out.ResultMetadata, out.ETag, http.MethodHead)
}

func headByGet(ctx context.Context, client *s3.Client, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	out, err := client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: in.Bucket, Key: in.Key, ExpectedBucketOwner: in.ExpectedBucketOwner, Range: ptr("bytes=0-0"),
	})
	if err != nil {
		return nil, err
	}
	_ = out.Body.Close() // the rest of what no range was made of is left
	return &s3.HeadObjectOutput{ETag: out.ETag, Metadata: out.Metadata}, answeredByS3(out.ResultMetadata, out.ETag, http.MethodGet)
}

// etagForm is an entity tag of RFC 9110, 8.8.3, which S3 gives with every object,
// and what services make of one that forget the quotes. That it is the MD5 of the
// body holds for neither KMS nor all services.
var etagForm = regexp.MustCompile(`^(W/)?("[\x21\x23-\x7e]+"|[\x21\x23-\x7e]+)$`)

// answeredByS3 judges a success about one object. Whatever answers 200 to
// everything (the page of a captive portal, a website whose address was taken for
// an endpoint) has stored nothing.
func answeredByS3(m middleware.Metadata, etag *string, method string) error {
	raw, ok := awsmiddleware.GetRawResponse(m).(*smithyhttp.Response)
	if !ok || raw == nil || raw.Response == nil {
		return errors.New("an answer that cannot be seen")
	}
	// S3 answers a put without a body, and some services with XML. An ETag alone
	// says little: frameworks give one to whatever they answer.
	kind := raw.Header.Get("Content-Type")
	page := method == http.MethodPut && raw.ContentLength != 0 && kind != "" && !strings.Contains(kind, "xml")
	if slices.Contains(successes[method], raw.StatusCode) && etag != nil && etagForm.MatchString(*etag) && !page {
		return nil
	}
	return &smithyhttp.ResponseError{Response: raw, Err: errNotS3}
}

// successes are how services say that it went well. S3 answers a put with 200; others
// mean the same by 201 or 204, which HTTP has for what was made or replaced.
var successes = map[string][]int{
	http.MethodPut: {http.StatusOK, http.StatusCreated, http.StatusNoContent}, http.MethodHead: {http.StatusOK}, http.MethodGet: {http.StatusOK, http.StatusPartialContent},
}

// errNotS3 is a success that S3 does not word so.
var errNotS3 = errors.New("it is not how S3 answers")

// corrupt are the codes of a body that is not what its checksum says.
var corrupt = map[string]bool{"BadDigest": true, "InvalidDigest": true, "XAmzContentChecksumMismatch": true, "XAmzContentSHA256Mismatch": true}

// vague are codes that services also give to headers that they do not know.
var vague = map[string]bool{"": true, "BadRequest": true, "InvalidArgument": true, "InvalidRequest": true, "NotImplemented": true, "UnsupportedHeader": true}

// mayRefuseChecksums tells whether it is worth a try without one. Services say it
// in many ways, most with the header's name, such as "Unsupported header
// 'x-amz-checksum-sha256' received for this API call".
func mayRefuseChecksums(err error) bool {
	code := Code(err)
	if _, known := meanings[code]; known {
		return false
	}
	names := strings.Contains(strings.ToLower(Message(err)), "checksum") && !corrupt[code]
	switch Status(err) {
	case http.StatusBadRequest:
		return names || vague[code]
	case http.StatusNotImplemented:
		return names
	}
	return false
}

// refusesConditions tells whether a service refused a put for its condition. Some
// say 501, and some what they say to every header that they do not know, such as
// "Unsupported header 'if-none-match' received for this API call".
func refusesConditions(err error) bool {
	switch Status(err) {
	case http.StatusNotImplemented:
		return true
	case http.StatusBadRequest:
		said := strings.ToLower(Message(err))
		return vague[Code(err)] && (strings.Contains(said, "if-none-match") || strings.Contains(said, "if-match"))
	}
	return false
}

// lack is something that a service has shown that it lacks. It is believed for an
// hour: a service may learn, and one gateway of several may answer for none.
type lack struct{ until atomic.Int64 } // unix ns

const believed = time.Hour

func (l *lack) note()       { l.until.Store(time.Now().Add(believed).UnixNano()) }
func (l *lack) noted() bool { return time.Now().UnixNano() < l.until.Load() }
