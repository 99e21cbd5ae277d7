package objectkey

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"sync"
)

// Zipper compresses bodies, with compressors that it keeps: each takes most of a
// megabyte. Its zero value is ready.
type Zipper struct{ idle sync.Pool }

// Compress returns the same bytes for the same body, always.
func (z *Zipper) Compress(body []byte) ([]byte, error) {
	w, ok := z.idle.Get().(*gzip.Writer)
	if !ok {
		w = gzip.NewWriter(nil)
	}
	defer z.idle.Put(w)
	var small bytes.Buffer
	w.Reset(&small)
	_, err := w.Write(body)
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return small.Bytes(), nil
}
