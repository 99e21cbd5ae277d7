package gcp

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"strconv"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
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

// description is what Cloud Storage keeps, and says, of an object.
type description struct {
	Bucket       string            `json:"bucket,omitempty"`
	Name         string            `json:"name,omitempty"`
	Generation   int64             `json:"generation,omitempty,string"`
	Size         int64             `json:"size,omitempty,string"`
	CRC32C       string            `json:"crc32c,omitempty"` // base64 of its bytes, the highest first
	ContentType  string            `json:"contentType,omitempty"`
	Encoding     string            `json:"contentEncoding,omitempty"`
	Metadata     map[string]string `json:"metadata,omitempty"`
	StorageClass string            `json:"storageClass,omitempty"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(body []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, castagnoli)))
}

// Put writes o, as application/json, in one request, if the generation that is
// live is the given one. If it is another, the error is [Occupied].
// Cloud Storage verifies the checksum that goes with it, and o counts as stored if
// it says that it has those bytes, under that name.
func (c *Client) Put(ctx context.Context, o Object, generation int64) (destination.Receipt, error) {
	sum := checksum(o.Body)
	query := url.Values{"uploadType": {"multipart"}, "name": {o.Name}, "fields": {"bucket,name,generation,size,crc32c"}, "prettyPrint": {"false"}}
	if generation != Always {
		query.Set("ifGenerationMatch", strconv.FormatInt(generation, 10))
	}
	if o.KMSKey != "" {
		query.Set("kmsKeyName", o.KMSKey)
	}
	if o.ACL != "" {
		query.Set("predefinedAcl", o.ACL)
	}
	contentType, body, err := related(description{
		Name: o.Name, ContentType: "application/json", Encoding: o.Encoding, Metadata: o.Metadata, StorageClass: o.StorageClass, CRC32C: sum,
	}, o.Body)
	if err != nil {
		return destination.Receipt{}, fmt.Errorf("write to gs://%s: %w", o.Bucket, err)
	}
	r, err := c.call(ctx, request{
		doing: "write to gs://" + o.Bucket, bucket: o.Bucket, name: o.Name,
		method: http.MethodPost, path: "/upload" + bucketPath(o.Bucket) + "/o", query: query, contentType: contentType, body: body,
	}, func(x *exchange) bool {
		var d description
		return parsing.JSON(x.body, &d) == nil && d.Bucket == o.Bucket && d.Name == o.Name && d.Generation > 0 && d.Size == int64(len(o.Body)) && d.CRC32C == sum
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
	_, err = c.call(ctx, request{
		doing: "read the metadata of an object in gs://" + bucket, bucket: bucket, name: name,
		method: http.MethodGet, path: objectPath(bucket, name), query: url.Values{"fields": {"generation,metadata"}, "prettyPrint": {"false"}},
	}, func(x *exchange) bool {
		var d description
		if parsing.JSON(x.body, &d) != nil || d.Generation <= 0 {
			return false
		}
		generation, metadata = d.Generation, d.Metadata
		return true
	})
	return generation, metadata, err
}

// Get returns the body of an object, as it is stored.
func (c *Client) Get(ctx context.Context, bucket, name string) (body []byte, err error) {
	_, err = c.call(ctx, request{
		doing: "read " + name + " in gs://" + bucket, bucket: bucket, name: name,
		method: http.MethodGet, path: objectPath(bucket, name), query: url.Values{"alt": {"media"}},
	}, func(x *exchange) bool { body = x.body; return true })
	return body, err
}

// Delete removes an object.
func (c *Client) Delete(ctx context.Context, bucket, name string) error {
	_, err := c.call(ctx, request{
		doing: "remove " + name + " from gs://" + bucket, bucket: bucket, name: name,
		method: http.MethodDelete, path: objectPath(bucket, name),
	}, func(*exchange) bool { return true })
	return err
}
