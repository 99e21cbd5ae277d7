package gcp

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// links lets everything pass but what is asked over a link.
func links(answer func(http.ResponseWriter)) gcptest.Interceptor {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("X-Goog-Signature") == "" {
			return false
		}
		answer(w)
		return true
	}
}

// TestABucketOfPayloadsChecksItself over a link, and leaves nothing where it may
// remove it.
func TestABucketOfPayloadsChecksItself(t *testing.T) {
	for _, c := range []struct {
		name   string
		rights []string
		fail   gcptest.Interceptor
		says   string // "": sound
		left   int
	}{
		{"all rights", []string{gcptest.Create, gcptest.Get, gcptest.Delete}, nil, "", 0},
		{"may not remove", []string{gcptest.Create, gcptest.Get}, nil, "", 1},
		{"may not read", []string{gcptest.Create, gcptest.Delete}, nil, "Grant roles/storage.objectViewer on gs://acme to " + all + ": links need it", 0},
		{"may not store", []string{gcptest.Get}, nil, "Grant roles/storage.objectCreator", 0},
		{"a captive portal", []string{gcptest.Create}, plain(200, "<html>Welcome"), "captive portal", 0},
		{"links lead to a page", []string{gcptest.Create}, links(func(w http.ResponseWriter) { fmt.Fprint(w, "<html>Welcome") }), "comes back as something else", 1},
		{"links lead nowhere", []string{gcptest.Create}, links(func(w http.ResponseWriter) { w.WriteHeader(404) }), "is not there when it is read", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := gcptest.Start(t)
			b := bucket(t, g, BucketSettings{Prefix: "a/b"})
			g.Grant(all, c.rights...)
			g.Break(c.fail)
			for range 2 { // what one leaves is no obstacle to the next
				err := b.Check(t.Context())
				if class, _ := destination.ClassOf(err); (err == nil) != (c.says == "") || err != nil && (class != destination.Misconfigured || !strings.Contains(err.Error(), c.says)) {
					t.Errorf("%v: %v", class, err)
				}
				if err != nil && strings.Contains(err.Error(), "X-Goog-Signature") {
					t.Errorf("it shows a link: %v", err)
				}
			}
			left := g.Objects(t, "acme")
			if len(left) != c.left {
				t.Errorf("it left %d objects", len(left))
			}
			for name := range left {
				if name != "a/b/fantail-check.json" {
					t.Errorf("it left %s", name)
				}
			}
		})
	}
}
