package gcs

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// rounds is how often an attempt reads what lies under one key. Each but the
// first follows a race that it lost against another writer.
const rounds = 5

// write writes o under the first of its keys that is free, or holds an older
// version of the same. What is there is replaced only in the generation that
// was judged, so that of two writers at once the newer always wins.
func (g *gcs) write(ctx context.Context, o object) (destination.Receipt, error) {
	body := o.body
	if g.settings.gzip {
		var err error
		if body, err = g.compress(body); err != nil {
			return destination.Receipt{}, err
		}
	}
	var r destination.Receipt
	for _, key := range o.keys {
		w := writing{g, gcp.Object{
			Bucket: g.settings.bucket, Name: key, Body: body, Encoding: g.encoding(), Metadata: o.meta,
			StorageClass: g.settings.storageClass, KMSKey: g.settings.kmsKey, ACL: g.settings.acl,
		}}
		var taken bool
		var err error
		if r, taken, err = w.place(ctx); !taken {
			return r, err
		}
	}
	return r, destination.Reject(fmt.Errorf("store %s: all keys that it may have are taken by others", o.keys[0]))
}

// writing is one object on its way to one key.
type writing struct {
	*gcs
	object gcp.Object
}

// place writes the object unless its key is taken by another's.
func (w *writing) place(ctx context.Context) (r destination.Receipt, taken bool, err error) {
	generation := gcp.Absent
	for range rounds {
		if r, err = w.client.Put(ctx, w.object, generation); !gcp.Occupied(err) {
			return r, false, err
		}
		var theirs map[string]string
		generation, theirs, err = w.client.Stat(ctx, w.object.Bucket, w.object.Name)
		switch {
		case gcp.StatusOf(err) == http.StatusNotFound:
			generation = gcp.Absent // it was deleted meanwhile
			continue
		case gcp.Denied(err):
			r, err = w.blindly(ctx, err)
			return r, false, err
		case err != nil:
			return r, false, err
		}
		switch objectkey.Metadata(w.object.Metadata).Against(theirs) {
		case objectkey.Leave:
			return destination.Receipt{Code: http.StatusOK, Address: r.Address}, false, nil
		case objectkey.Next:
			return r, true, nil
		}
	}
	return r, false, fmt.Errorf("write to gs://%s: others wrote the object each of %d times that it was read", w.settings.bucket, rounds)
}

// blindly is what the setting stale says of an object that may not be read.
func (w *writing) blindly(ctx context.Context, denied error) (destination.Receipt, error) {
	if w.settings.fail {
		return destination.Receipt{Code: gcp.StatusOf(denied)}, destination.Misconfigure(fmt.Errorf(
			"%w. An object is there already, and stale: fail needs to know whether it is older: grant roles/storage.objectUser on the bucket", denied))
	}
	w.blind.Do(func() {
		w.log.Warn("objects are replaced that nobody may read, whether they are older or not", "bucket", w.settings.bucket, "grant", "roles/storage.objectUser")
	})
	r, err := w.client.Put(ctx, w.object, gcp.Always)
	if gcp.Denied(err) {
		err = fmt.Errorf("an object is there already, which may be neither read nor replaced: %w", err)
	}
	return r, err
}

func (g *gcs) encoding() string {
	if g.settings.gzip {
		return "gzip"
	}
	return ""
}

// compress returns the same bytes for the same body, always.
func (g *gcs) compress(body []byte) ([]byte, error) {
	var small bytes.Buffer
	z := g.gzips.Get().(*gzip.Writer)
	defer g.gzips.Put(z)
	z.Reset(&small)
	_, err := z.Write(body)
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return small.Bytes(), nil
}
