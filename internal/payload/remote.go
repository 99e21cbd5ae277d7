package payload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Remote is a bucket that tells whether a payload is there by asking over a link of its own. It
// needs the right that links need and no other, as consumers do.
type Remote struct {
	Bucket
	HTTP *http.Client
}

// Bucket is a payload store that can check itself.
type Bucket interface {
	destination.PayloadStore
	destination.Checker
}

var (
	_ Finder              = Remote{}
	_ destination.Checker = Remote{}
)

// probeTTL is the life of a link that is used at once.
const probeTTL = time.Minute

// Has asks for the first byte. Clouds answer 403 to those who may not know that an object is
// missing; that too means that it cannot be had.
func (r Remote) Has(ctx context.Context, developer, id string) (bool, error) {
	link, err := r.Link(ctx, developer, id, probeTTL)
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link.URL, nil)
	if err != nil {
		return false, errors.New("ask for a payload: the link is no URL")
	}
	req.Header.Set("Range", "bytes=0-0")
	res, err := r.HTTP.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the text of the other one has the link, which is a credential
		}
		return false, fmt.Errorf("ask for a payload: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // only read
	answer, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err != nil {
		return false, fmt.Errorf("ask for a payload: %w", err)
	}
	text := string(answer)
	switch {
	case res.StatusCode/100 == 2 && !ours(res):
		return false, fmt.Errorf("ask for a payload: answered %d with something that is no payload: a website or the page of a captive portal", res.StatusCode)
	case res.StatusCode/100 == 2, res.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return true, nil
	case res.StatusCode == http.StatusNotFound && !strings.Contains(text, "NoSuchBucket"),
		res.StatusCode == http.StatusForbidden && strings.Contains(text, "AccessDenied"):
		return false, nil
	}
	return false, fmt.Errorf("ask for a payload: answered %d%s", res.StatusCode, codeOf(text))
}

// codeOf finds the code of an error of S3, which Cloud Storage has too.
func codeOf(text string) string {
	_, rest, _ := strings.Cut(text, "<Code>")
	code, _, ok := strings.Cut(rest, "</Code>")
	if !ok || len(code) > 60 || strings.ContainsFunc(code, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return ""
	}
	return " " + code
}

// ours tells whether an answer is an object: it has the ETag that S3 and Cloud Storage promise,
// which some services weaken or leave unquoted, and is no page. It does not look at the type:
// payloads that were restored from a copy may have lost theirs.
func ours(res *http.Response) bool {
	return res.Header.Get("ETag") != "" && !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html")
}
