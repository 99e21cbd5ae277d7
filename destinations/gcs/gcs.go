// Package gcs keeps events as objects in a bucket of Google Cloud Storage.
package gcs

import (
	"compress/gzip"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"sync"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

var (
	_ destination.Destination = (*gcs)(nil)
	_ destination.Checker     = (*gcs)(nil)
	_ destination.Explainer   = (*gcs)(nil)
)

type gcs struct {
	client    *gcp.Client
	layout    *objectkey.Layout
	catalogue *event.Catalogue
	log       *slog.Logger
	settings  settings
	gzips     sync.Pool // of *gzip.Writer, each of which is the better part of a megabyte
	blind     sync.Once // says once that objects cannot be read
}

// settings are those of Config that every object has, and how to write it.
type settings struct {
	bucket, storageClass, kmsKey, acl string
	gzip, fail, item                  bool
}

func open(c Config, deps destination.Deps) (destination.Destination, error) {
	layout, err := c.Compile()
	if err != nil {
		return nil, err
	}
	client, err := gcp.Open(c.Access, deps)
	if err != nil {
		return nil, err
	}
	g := &gcs{
		client: client, layout: layout, catalogue: deps.Catalogue, log: deps.Log,
		settings: settings{
			bucket: c.Bucket, storageClass: c.StorageClass, kmsKey: c.KMSKey, acl: c.PredefinedACL,
			gzip: c.Gzip, fail: c.Stale == staleFail, item: c.Content == contentItem,
		},
		gzips: sync.Pool{New: func() any { return gzip.NewWriter(nil) }},
	}
	if g.catalogue == nil {
		g.catalogue = event.DefaultCatalogue()
	}
	return g, nil
}

// Send writes one object for each payload of the event. What an earlier attempt
// wrote is found there and counts as done.
func (g *gcs) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	return sendAll(g.objects(d.Event), func(o object) (destination.Receipt, error) {
		if err := ctx.Err(); err != nil {
			return destination.Receipt{}, fmt.Errorf("write to gs://%s: %w", g.settings.bucket, err)
		}
		return g.write(ctx, o)
	})
}

// object is a payload as it is stored, before any compression, under the first
// of keys that will do.
type object struct {
	keys []string
	meta objectkey.Metadata
	body []byte
}

// objects yields what is stored of e.
func (g *gcs) objects(e *event.Event) iter.Seq[object] {
	return func(yield func(object) bool) {
		names := g.layout.Of(e)
		for p := range g.catalogue.Payloads(e) {
			if g.settings.item {
				if item, ok := g.catalogue.Item(e, p); ok {
					p.Body = item
				}
			}
			o := names.Object(p)
			if !yield(object{o.Keys, o.Meta, p.Body}) {
				return
			}
		}
	}
}

// Check asks for the rights on the bucket and changes nothing. Besides what
// every delivery needs it names what would be missing once an object is there
// already, since that may be long after somebody set the destination up.
func (g *gcs) Check(ctx context.Context) error {
	const create, get, replace = "storage.objects.create", "storage.objects.get", "storage.objects.delete"
	if err := g.client.Require(ctx, g.settings.bucket, create); err != nil {
		return err
	}
	err := g.client.Require(ctx, g.settings.bucket, get, replace)
	if gcp.Denied(err) && !g.settings.fail {
		return destination.Remark("new objects can be written, but none can be replaced by a newer one: " + err.Error())
	}
	return err
}

// Explain shows the first object that Send would write.
func (g *gcs) Explain(d destination.Delivery) (destination.Explanation, error) {
	var first object
	n := 0
	for o := range g.objects(d.Event) {
		if n++; n == 1 {
			first = o
		}
	}
	h := http.Header{"Content-Type": {"application/json"}}
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	if g.settings.gzip {
		set("Content-Encoding", "gzip")
	}
	set("X-Goog-Storage-Class", g.settings.storageClass)
	set("X-Goog-Encryption-Kms-Key-Name", g.settings.kmsKey)
	set("X-Goog-Acl", g.settings.acl)
	for name, value := range first.meta {
		set("X-Goog-Meta-"+name, value)
	}
	target := "gs://" + g.settings.bucket
	if n > 1 {
		target += fmt.Sprintf(", the first of %d objects", n)
	}
	return destination.Explanation{Target: target, Headers: h, Key: first.keys[0], Body: string(first.body)}, nil
}

// String says which bucket it is; together with GoString it keeps credentials
// out of every print.
func (g *gcs) String() string   { return "bucket gs://" + g.settings.bucket }
func (g *gcs) GoString() string { return g.String() }

// Close has nothing to do: the connections are the engine's.
func (g *gcs) Close() error { return nil }
