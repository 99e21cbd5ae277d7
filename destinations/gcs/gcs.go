// Package gcs keeps events as objects in a bucket of Google Cloud Storage.
package gcs

import (
	"context"
	"fmt"
	"iter"
	"net/http"

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
	settings  settings
	zip       *objectkey.Zipper
}

// settings are those of Config that every object has, and how to write it.
type settings struct {
	bucket, storageClass, kmsKey, acl string
	folder                            string // of all keys, with a slash at its end
	strict                            bool   // stale: fail
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
		client: client, layout: layout, catalogue: deps.Catalogue,
		settings: settings{
			bucket: c.Bucket, storageClass: c.StorageClass, kmsKey: c.KMSKey, acl: c.PredefinedACL,
			folder: c.Folder(), strict: c.Strict(),
		},
	}
	if c.Gzip {
		g.zip = &objectkey.Zipper{}
	}
	if g.catalogue == nil {
		g.catalogue = event.DefaultCatalogue()
	}
	return g, nil
}

// Send writes one object for each payload of the event. What an earlier attempt
// wrote is found there and counts as done.
func (g *gcs) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	return objectkey.PlaceAll(ctx, g.objects(d.Event), func(o objectkey.Object) (r destination.Receipt, how objectkey.Outcome, err error) {
		w, err := g.write(o)
		if err == nil {
			how, err = objectkey.Place(ctx, w, o, g.settings.strict)
			r = w.receipt
		}
		return r, how, err
	})
}

func (g *gcs) objects(e *event.Event) iter.Seq[objectkey.Object] {
	return g.layout.Objects(g.catalogue, e)
}

// Explain shows the first object that Send would write.
func (g *gcs) Explain(d destination.Delivery) (destination.Explanation, error) {
	var first objectkey.Object
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
	if g.zip != nil {
		set("Content-Encoding", "gzip")
	}
	set("X-Goog-Storage-Class", g.settings.storageClass)
	set("X-Goog-Encryption-Kms-Key-Name", g.settings.kmsKey)
	set("X-Goog-Acl", g.settings.acl)
	for name, value := range first.Meta {
		set("X-Goog-Meta-"+name, value)
	}
	target := "gs://" + g.settings.bucket
	if n > 1 {
		target += fmt.Sprintf(", the first of %d objects", n)
	}
	return destination.Explanation{Target: target, Headers: h, Key: first.Keys[0], Body: string(first.Body)}, nil
}

// String says which bucket it is; together with GoString it keeps credentials
// out of every print.
func (g *gcs) String() string   { return "bucket gs://" + g.settings.bucket }
func (g *gcs) GoString() string { return g.String() }

// Close has nothing to do: the connections are the engine's.
func (g *gcs) Close() error { return nil }
