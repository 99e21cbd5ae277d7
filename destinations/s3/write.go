package s3

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
)

// writing is the bytes of one object, with what its puts need of them.
type writing struct {
	body     []byte
	checksum string // SHA-256, base64: the service stores nothing else, and Object Lock asks for one
	upload   func(*sdk.Options)
}

func (b *bucket) write(o *object) (*writing, error) {
	body := o.body
	if b.zip != nil {
		var err error
		if body, err = b.zip.compress(body); err != nil {
			return nil, fmt.Errorf("compress %s: %w", o.keys[0], err)
		}
	}
	sum := sha256.Sum256(body)
	return &writing{body, base64.StdEncoding.EncodeToString(sum[:]), aws.Upload(body, sum)}, nil
}

// reader is what the SDK wants: it seeks.
func (w *writing) reader() io.ReadSeeker { return bytes.NewReader(w.body) }

// zipper keeps compressors, each of which takes most of a megabyte.
type zipper struct{ idle sync.Pool }

// compress returns the same bytes for the same body, always.
func (z *zipper) compress(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w, ok := z.idle.Get().(*gzip.Writer)
	if !ok {
		w = gzip.NewWriter(nil)
	}
	defer z.idle.Put(w)
	w.Reset(&out)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
