package gcp

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/http"

	"google.golang.org/api/googleapi"
	storage "google.golang.org/api/storage/v1"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Object is what a Put writes.
type Object struct {
	Bucket, Name string
	Body         []byte
	Encoding     string            // Content-Encoding: "gzip" or ""
	Metadata     map[string]string // of our own; at most 8 KiB in all
	StorageClass string            // "" is the bucket's default, as for all below
	KMSKey       string
	ACL          string // a predefined one
}

// Conditions of a Put besides the generation that is to be replaced.
const (
	Absent int64 = 0  // only if there is no object of that name
	Always int64 = -1 // whatever is there
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Put writes o, as application/json, in one request, if the generation that is
// live is the given one. If it is another, the error is [Occupied].
// Cloud Storage verifies the checksum that goes with it, and o counts as stored if
// it says that it has those bytes, under that name.
func (c *Client) Put(ctx context.Context, o Object, generation int64) (destination.Receipt, error) {
	checksum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(o.Body, castagnoli)))
	r, err := c.call(ctx, "write to gs://"+o.Bucket, o.Bucket, o.Name, len(o.Body)+4<<10, func(ctx context.Context) error {
		insert := c.service.Objects.Insert(o.Bucket, &storage.Object{
			Name: o.Name, ContentType: "application/json", ContentEncoding: o.Encoding,
			Metadata: o.Metadata, StorageClass: o.StorageClass, Crc32c: checksum,
		}).Name(o.Name).Context(ctx).Media(bytes.NewReader(o.Body), googleapi.ChunkSize(0), googleapi.ContentType("application/json"))
		if generation != Always {
			insert.IfGenerationMatch(generation)
		}
		if o.KMSKey != "" {
			insert.KmsKeyName(o.KMSKey)
		}
		if o.ACL != "" {
			insert.PredefinedAcl(o.ACL)
		}
		written, err := insert.Fields("bucket", "name", "generation", "size", "crc32c").Do()
		if err == nil && !(written.Bucket == o.Bucket && written.Name == o.Name && written.Generation > 0 &&
			written.Size == uint64(len(o.Body)) && written.Crc32c == checksum) {
			return errors.New("another object was written")
		}
		return err
	})
	if e, ok := errors.AsType[*Error](err); ok {
		e.occupied = e.Status == http.StatusPreconditionFailed || generation == Absent && e.irreplaceable()
	}
	return r, err
}

// Stat returns the live generation of an object and its metadata. Of an object
// that does not exist, the error's [StatusOf] is 404; where the credentials may
// not read, it is [Denied].
func (c *Client) Stat(ctx context.Context, bucket, name string) (generation int64, metadata map[string]string, err error) {
	_, err = c.call(ctx, "read the metadata of an object in gs://"+bucket, bucket, name, 0, func(ctx context.Context) error {
		o, err := c.service.Objects.Get(bucket, name).Context(ctx).Fields("generation", "metadata").Do()
		if err == nil && o.Generation == 0 {
			return errors.New("an object without a generation")
		}
		if err == nil {
			generation, metadata = o.Generation, o.Metadata
		}
		return err
	})
	return generation, metadata, err
}

// Get returns the body of an object, as it is stored.
func (c *Client) Get(ctx context.Context, bucket, name string) (body []byte, err error) {
	_, err = c.call(ctx, "read "+name+" in gs://"+bucket, bucket, name, 0, func(ctx context.Context) error {
		resp, err := c.service.Objects.Get(bucket, name).Context(ctx).Download()
		if err != nil {
			return err
		}
		defer resp.Body.Close() //nolint:errcheck // only read
		body, err = io.ReadAll(resp.Body)
		return err
	})
	return body, err
}

// Delete removes an object.
func (c *Client) Delete(ctx context.Context, bucket, name string) error {
	_, err := c.call(ctx, "remove "+name+" from gs://"+bucket, bucket, name, 0, func(ctx context.Context) error {
		return c.service.Objects.Delete(bucket, name).Context(ctx).Do()
	})
	return err
}
