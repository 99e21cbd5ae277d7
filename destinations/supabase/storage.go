package supabase

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
)

// at is the path of an object, whose key has one folder or none.
func (s *supabase) at(object string) string {
	parts := strings.Split(object, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return "/storage/v1/object/" + url.PathEscape(s.bucket) + "/" + strings.Join(parts, "/")
}

// upload writes the object of i, over whatever is there.
func (s *supabase) upload(ctx context.Context, i item) (answer, error) {
	q := request{
		method: http.MethodPost, what: "write an object to " + s.bucket, body: i.body, path: s.at(i.object),
		header: map[string]string{"Content-Type": "application/json", "X-Upsert": "true"},
	}
	a, err := s.service.call(ctx, q)
	if err != nil {
		return a, err
	}
	if a.status != http.StatusOK {
		return a, s.storageFault(q.what, a)
	}
	var stored struct{ Key string }
	if parsing.JSON(a.body, &stored) != nil || stored.Key != s.bucket+"/"+i.object {
		// Whatever this is, it is not storage: nothing was stored.
		return a, &fault.Safe{Text: q.what + ": answered 200, but does not name the object: " + a.receipt.Answer}
	}
	return a, nil
}

// readBack sees whether the object of i is there, byte for byte.
func (s *supabase) readBack(ctx context.Context, i item) error {
	q := request{method: http.MethodGet, what: "read an object of " + s.bucket, path: s.at(i.object)}
	a, err := s.service.call(ctx, q)
	switch {
	case err != nil:
		return err
	case a.status != http.StatusOK:
		return s.storageFault(q.what, a)
	case !bytes.Equal(a.body, i.body):
		return &fault.Safe{Text: q.what + ": it is not what was written"}
	}
	return nil
}

func (s *supabase) remove(ctx context.Context, i item) error {
	q := request{method: http.MethodDelete, what: "remove an object of " + s.bucket, path: s.at(i.object)}
	a, err := s.service.call(ctx, q)
	if err == nil && a.status != http.StatusOK {
		err = s.storageFault(q.what, a)
	}
	return err
}

// describeBucket remarks upon a bucket that takes objects, where the role may see
// it.
func (s *supabase) describeBucket(ctx context.Context) (remarks []string, err error) {
	q := request{method: http.MethodGet, path: "/storage/v1/bucket/" + url.PathEscape(s.bucket), what: "look at the bucket " + s.bucket}
	a, err := s.service.call(ctx, q)
	if err != nil {
		return nil, err
	}
	var b struct {
		Name   string
		Public bool
		Limit  int64    `json:"file_size_limit"`
		Types  []string `json:"allowed_mime_types"`
	}
	if a.status != http.StatusOK { // it took an object all the same
		return []string{fmt.Sprintf("the bucket %s takes objects, but the role %s may not see what else it is (answered %d): storage.buckets has row level security", s.bucket, s.role, a.status)}, nil
	}
	if parsing.JSON(a.body, &b) != nil || b.Name == "" {
		return nil, &fault.Safe{Text: q.what + ": answered 200, but describes no bucket: " + a.receipt.Answer}
	}
	if b.Public {
		remarks = append(remarks, "the bucket "+s.bucket+" is public: whoever knows or guesses the name of an object can read it. Make it private under Storage")
	}
	if b.Limit > 0 && b.Limit < enough {
		remarks = append(remarks, fmt.Sprintf("the bucket %s takes objects of %d bytes at most (file_size_limit): what is larger is rejected. Set no limit, or one of 50 MB", s.bucket, b.Limit))
	}
	if len(b.Types) > 0 && !slices.ContainsFunc(b.Types, func(t string) bool { return t == "application/json" || t == "application/*" }) {
		remarks = append(remarks, "the bucket "+s.bucket+" does not list application/json among its types (allowed_mime_types), though it took an object of it")
	}
	return remarks, nil
}

// enough is a limit of objects that few events of data exceed, in bytes.
const enough = 16 << 20

// buckets names those that the key may see, which tells one that is missing from
// a name that is misspelt, and a project from another.
func (s *supabase) buckets(ctx context.Context) string {
	a, err := s.service.call(ctx, request{method: http.MethodGet, path: "/storage/v1/bucket", what: "list buckets"})
	var all []struct{ Name string }
	switch {
	case err != nil || a.status != http.StatusOK || parsing.JSON(a.body, &all) != nil:
		return "Which buckets there are this key may not see"
	case len(all) == 0:
		return "The project has none that this key may see"
	}
	names := make([]string, 0, 5)
	for _, b := range all[:min(len(all), cap(names))] {
		names = append(names, fmt.Sprintf("%.100q", b.Name))
	}
	return "This key sees " + strings.Join(names, ", ")
}

// maxSegment bounds one part of a key: storage's own limit is that of file
// systems and S3.
const maxSegment = 128

// segment writes text as one part of an object's key, in the characters that
// storage and its own clients take: of ? and what is behind it supabase-js would
// make a query. Others, and what would lead out of the folder, are =XX, byte for
// byte. What is too long ends in a hash of all of it, after ==, which nothing else
// can make.
func segment(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.' && i > 0,
			strings.IndexByte("_!-*'() &$@;:+,", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	if b.Len() <= maxSegment {
		return b.String()
	}
	sum := sha256.Sum256([]byte(text))
	return strings.TrimRight(b.String()[:maxSegment-34], "=") + "==" + hex.EncodeToString(sum[:16])
}
