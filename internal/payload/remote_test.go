package payload

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

const eventID = "019f1c2e-8c00-7000-8000-0123456789ab"

// linker makes links to a server of the test.
type linker struct {
	url string
	err error
}

func (l *linker) Put(context.Context, string, event.Payload) error { return nil }
func (l *linker) Check(context.Context) error                      { return l.err }
func (l *linker) Link(_ context.Context, developer, id string, ttl time.Duration) (destination.Link, error) {
	return destination.Link{URL: l.url + "/" + developer + "/" + id + "?signature=sesame", Expires: time.Now().Add(ttl)}, nil
}

func TestRemoteStoresAreAskedOverALink(t *testing.T) {
	var answer atomic.Pointer[func(http.ResponseWriter)]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Range") != "bytes=0-0" || r.URL.Query().Get("signature") != "sesame" {
			t.Errorf("asked %s %s with %v", r.Method, r.URL, r.Header)
		}
		(*answer.Load())(w)
	}))
	defer server.Close()
	l := &linker{url: server.URL}
	r := Remote{l, server.Client()}
	for name, c := range map[string]struct {
		status int
		body   string
		there  bool
		fault  string
	}{
		"there":                {206, "{", true, ""},
		"there, no ranges":     {200, "{}", true, ""},
		"there, bare ETag":     {206, "{bare", true, ""},
		"there and empty":      {416, "", true, ""},
		"a page":               {200, "<html>welcome", false, "captive portal"},
		"a page with an ETag":  {206, "{<html>", false, "captive portal"},
		"missing":              {404, "<Error><Code>NoSuchKey</Code></Error>", false, ""},
		"missing, not telling": {403, "<Error><Code>AccessDenied</Code></Error>", false, ""},
		"no bucket":            {404, "<Error><Code>NoSuchBucket</Code></Error>", false, "answered 404 NoSuchBucket"},
		"bad credentials":      {403, "<Error><Code>SignatureDoesNotMatch</Code></Error>", false, "answered 403 SignatureDoesNotMatch"},
		"down":                 {503, "<html>\n<Code>a b</Code>", false, "answered 503"},
		"a redirect":           {307, "", false, "answered 307"},
	} {
		answer.Store(new(func(w http.ResponseWriter) {
			if strings.HasPrefix(c.body, "{") {
				w.Header().Set("ETag", `"1"`)
			}
			if c.body == "{bare" {
				w.Header().Set("ETag", "1")
			}
			if strings.Contains(c.body, "<html>") {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
			}
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		}))
		there, err := r.Has(t.Context(), "acme", eventID)
		if there != c.there || (err == nil) != (c.fault == "") || err != nil && !strings.HasSuffix(err.Error(), c.fault) {
			t.Errorf("%s: %v, %v", name, there, err)
		}
	}
	l.err = errors.New("denied")
	if err := r.Check(t.Context()); !errors.Is(err, l.err) {
		t.Errorf("a store that takes nothing: %v", err)
	}
	server.Close()
	if _, err := r.Has(t.Context(), "acme", eventID); err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("nobody there: %v, which must not show the link", err)
	}
}
