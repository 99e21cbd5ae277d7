package gcs

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

var _ objectkey.Bucket = (*writing)(nil)

// writing is one object on its way into the bucket.
type writing struct {
	*gcs
	object  gcp.Object          // its name is set by each put
	receipt destination.Receipt // of the last request to store it
}

func (g *gcs) write(o objectkey.Object) (*writing, error) {
	w := &writing{gcs: g, object: gcp.Object{
		Bucket: g.settings.bucket, Body: o.Body, Metadata: o.Meta,
		StorageClass: g.settings.storageClass, KMSKey: g.settings.kmsKey, ACL: g.settings.acl,
	}}
	if g.zip == nil {
		return w, nil
	}
	small, err := g.zip.Compress(o.Body)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", o.Keys[0], err)
	}
	w.object.Body, w.object.Encoding = small, "gzip"
	return w, nil
}

// PutIf implements [objectkey.Bucket]; a version is a generation.
func (w *writing) PutIf(ctx context.Context, key, version string) (objectkey.Answer, error) {
	generation := gcp.Absent
	if version != "" {
		var err error
		if generation, err = strconv.ParseInt(version, 10, 64); err != nil {
			return objectkey.Failed, fmt.Errorf("store %s: %w", key, err)
		}
	}
	switch err := w.put(ctx, key, generation); {
	case err == nil:
		return objectkey.OK, nil
	case gcp.Occupied(err):
		return objectkey.Occupied, err
	default:
		return objectkey.Failed, err
	}
}

// Put implements [objectkey.Bucket]. That a right to replace is missing, or that
// something keeps one object as it is, gcp tells from all else by itself.
func (w *writing) Put(ctx context.Context, key string, _ bool) error {
	return w.put(ctx, key, gcp.Always)
}

func (w *writing) put(ctx context.Context, key string, generation int64) (err error) {
	w.object.Name = key
	w.receipt, err = w.client.Put(ctx, w.object, generation)
	return err
}

// Stat implements [objectkey.Bucket].
func (w *writing) Stat(ctx context.Context, key string) (string, objectkey.Metadata, objectkey.Answer, error) {
	generation, theirs, err := w.client.Stat(ctx, w.object.Bucket, key)
	if err == nil {
		w.receipt.Code, w.receipt.Answer = http.StatusOK, ""
		return strconv.FormatInt(generation, 10), theirs, objectkey.OK, nil
	}
	w.receipt.Code = gcp.StatusOf(err)
	switch {
	case gcp.StatusOf(err) == http.StatusNotFound:
		return "", nil, objectkey.Missing, err
	case gcp.Denied(err):
		return "", nil, objectkey.Denied, err
	}
	return "", nil, objectkey.Failed, err
}
