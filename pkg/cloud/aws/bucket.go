package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/pkg/cloud/probe"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// BucketSettings are one bucket and the account to use it with; kinds and the
// operator's payload store inline them.
type BucketSettings struct {
	Bucket    string `yaml:"bucket"`
	Prefix    string `yaml:"prefix"`     // of every key, without a slash at its ends
	PathStyle *bool  `yaml:"path_style"` // the bucket in the path instead of in the host's name; left out: with an endpoint
	Settings  `yaml:",inline"`
}

var (
	bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixForm = regexp.MustCompile(`^[\w!.*'()=+-]+(/[\w!.*'()=+-]+)*$`)
)

// Validate reports every fault at once, as Settings.Validate does.
func (s BucketSettings) Validate() error {
	faults := []error{ValidateBucket(s.Bucket), ValidateEndpointOf(s.Bucket, s.Endpoint)}
	if s.Prefix != "" && (len(s.Prefix) > 512 || !prefixForm.MatchString(s.Prefix) || strings.Contains("/"+s.Prefix+"/", "/../") || strings.Contains("/"+s.Prefix+"/", "/./")) {
		faults = append(faults, errors.New("prefix: must be a folder such as fantail/payloads: letters, digits and !-_.*'()=+, no slash at its ends"))
	}
	return errors.Join(append(faults, s.Settings.Validate())...)
}

// ValidateBucket judges the name of a bucket by the rules of S3.
func ValidateBucket(name string) error {
	switch {
	case name == "":
		return errors.New("bucket: is required")
	case strings.HasPrefix(name, "arn:"):
		return errors.New("bucket: must be a name: of an access point, its alias")
	case !bucketForm.MatchString(name) || strings.Contains(name, ".."):
		return errors.New("bucket: is not the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens")
	case strings.HasSuffix(name, "--x-s3"):
		return errors.New("bucket: must not be a directory bucket, which S3 does not address like others")
	}
	return nil
}

// Bucket keeps payloads in a bucket, under keys that never change:
// [prefix/]{day}/{developer}/{payload id}.json.
type Bucket struct {
	session *Session
	name    string
	prefix  string
	client  *s3.Client
	writer  *Writer
	presign *s3.PresignClient
	http    *http.Client // for links, which consumers use without credentials
}

var (
	_ destination.PayloadStore = (*Bucket)(nil)
	_ destination.Checker      = (*Bucket)(nil)
)

// OpenBucket opens a payload store; it never connects. Its errors are classified
// as those of a destination's own bucket.
func OpenBucket(s BucketSettings, deps destination.Deps) (*Bucket, error) {
	session, err := Open(s.Settings, deps)
	if err != nil {
		return nil, err
	}
	client := session.S3(s.PathStyle)
	prefix := s.Prefix
	if prefix != "" {
		prefix += "/"
	}
	return &Bucket{session, s.Bucket, prefix, client, NewWriter(client), s3.NewPresignClient(client), deps.HTTP}, nil
}

// S3 returns a client of S3. pathStyle nil: with an endpoint of one's own.
func (s *Session) S3(pathStyle *bool) *s3.Client {
	return s3.NewFromConfig(s.Config, func(o *s3.Options) {
		o.UsePathStyle = s.settings.Endpoint != ""
		if pathStyle != nil {
			o.UsePathStyle = *pathStyle
		}
		o.DisableLogOutputChecksumValidationSkipped = true
	})
}

// Close ends what fetches credentials.
func (b *Bucket) Close() error { return b.session.Close() }

// String and GoString keep credentials out of every print of a bucket.
func (b *Bucket) String() string   { return "bucket " + b.name + " at " + b.session.String() }
func (b *Bucket) GoString() string { return b.String() }

// rounds is how often a put is made while S3 answers 409: somebody else writes
// the key at this moment. Several destinations of one event put the same payload
// at once.
const rounds = 5

// Put stores p, but where its key is taken: what is there is the same payload, once
// it is seen there. A service without conditional writes stores it again.
func (b *Bucket) Put(ctx context.Context, developer string, p event.Payload) error {
	key, err := b.key(developer, p.ID)
	if err != nil {
		return err
	}
	in := b.input(key)
	in.IfNoneMatch = ptr("*")
	content := NewContent(p.Body)
	for range rounds {
		_, err = b.writer.Put(ctx, in, content)
		if errors.Is(err, ErrUnconditional) {
			in.IfNoneMatch = nil
		} else if !Busy(err) {
			break
		}
	}
	doing := "store payload " + p.ID + " in bucket " + b.name
	if Taken(err) {
		return b.there(ctx, doing, key)
	}
	return b.session.Classify(doing, err)
}

// there sees what lies under a key that is said to be taken: a proxy that says 412
// to everything has stored nothing, and links would lead there.
func (b *Bucket) there(ctx context.Context, doing, key string) error {
	_, err := Head(ctx, b.client, &s3.HeadObjectInput{Bucket: &b.name, Key: &key})
	return b.session.Classify(doing+": it is said to be there already: look at "+key+" (links need s3:GetObject on it)", err)
}

// Check stores a probe, reads it over a link as consumers do, and removes it where
// the credentials may.
func (b *Bucket) Check(ctx context.Context) error {
	in := b.input(b.prefix + probe.Name)
	seen, reading, err := Probe{Client: b.client, Writer: b.writer, In: in, Get: func(ctx context.Context) (Found, error) {
		return b.fetch(ctx, *in.Key)
	}}.Run(ctx)
	switch {
	case err != nil && reading:
		return b.session.Classify("read "+*in.Key+" over a link to bucket "+b.name, err)
	case err != nil:
		return b.session.Classify("store "+*in.Key+" in bucket "+b.name, err)
	case seen.Unreadable != nil:
		right := "s3:GetObject on arn:aws:s3:::" + b.name + "/" + b.prefix + "*"
		if strings.Contains(Message(seen.Unreadable), "kms:Decrypt") {
			right = "kms:Decrypt on the encryption key"
		}
		return b.session.Fail(destination.Misconfigured, "read "+*in.Key+" over a link (grant "+right+": links need it)", seen.Unreadable)
	}
	return nil
}

// fetch gets an object as consumers of links do.
func (b *Bucket) fetch(ctx context.Context, key string) (Found, error) {
	signed, err := b.presign.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key}, s3.WithPresignExpires(time.Minute))
	if err != nil {
		return Found{}, err
	}
	return follow(ctx, b.http, signed.URL)
}

// input is what all puts have in common.
func (b *Bucket) input(key string) s3.PutObjectInput {
	return s3.PutObjectInput{Bucket: &b.name, Key: &key, ContentType: ptr("application/json")}
}

// Link presigns a GET. Its life is the shortest of ttl, the 7 days that SigV4
// allows, and what is left of the credentials, in whole seconds.
func (b *Bucket) Link(ctx context.Context, developer, id string, ttl time.Duration) (destination.Link, error) {
	key, err := b.key(developer, id)
	if err != nil {
		return destination.Link{}, err
	}
	what := "sign a link to payload " + id
	end, err := b.session.Expires(ctx)
	if err != nil {
		return destination.Link{}, b.session.Classify(what, err)
	}
	now := time.Now().UTC().Truncate(time.Second) // as X-Amz-Date has it, or a second sooner
	life := min(ttl, destination.MaxLinkTTL)
	if !end.IsZero() {
		life = min(life, end.Sub(now))
	}
	life = life.Truncate(time.Second)
	if life <= 0 {
		return destination.Link{}, fmt.Errorf("%s: the credentials have expired", what)
	}
	signed, err := b.presign.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key}, s3.WithPresignExpires(life))
	if err != nil {
		return destination.Link{}, b.session.Classify(what, err)
	}
	return destination.Link{URL: signed.URL, Expires: now.Add(life)}, nil
}

// key is where a payload lies.
func (b *Bucket) key(developer, id string) (string, error) {
	k, err := event.PayloadKeyOf(developer, id)
	if err != nil {
		return "", err
	}
	return b.prefix + k.String(), nil
}

func ptr[T any](v T) *T { return &v }
