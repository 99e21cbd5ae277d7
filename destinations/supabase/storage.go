package supabase

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
)

// upload writes the object of i, over whatever is there.
func (s *supabase) upload(ctx context.Context, i item) (answer, error) {
	folder, file, _ := strings.Cut(i.object, "/")
	q := request{
		method: http.MethodPost, what: "write an object to " + s.bucket, body: i.body,
		path:   "/storage/v1/object/" + url.PathEscape(s.bucket) + "/" + url.PathEscape(folder) + "/" + url.PathEscape(file),
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
	if parsing.JSON(a.body, &stored) != nil || stored.Key == "" {
		// Whatever this is, it is not storage: nothing was stored.
		return a, &fault.Safe{Text: q.what + ": answered 200, but names no object: " + a.receipt.Answer}
	}
	return a, nil
}

// maxSegment bounds one part of a key: storage's own limit is that of file
// systems and S3.
const maxSegment = 128

// segment writes text as one part of an object's key, in the characters that
// storage takes. Others, and what would lead out of the folder, are =XX, byte
// for byte. What is too long ends in a hash of all of it, after ==, which nothing
// else can make.
func segment(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.' && i > 0,
			strings.IndexByte("_!-*'() &$@;:+,?", c) >= 0:
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
