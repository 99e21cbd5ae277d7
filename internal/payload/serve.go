package payload

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

const (
	// Grace is how long a client may take for what is small.
	Grace = 30 * time.Second
	// minSpeed, in bytes a second, is what a client must manage for the rest.
	minSpeed = 256 << 10
)

// Patience is how long a client may take for n bytes of an answer: a reader that hangs
// must not hold a connection for ever.
func Patience(n int64) time.Duration {
	return Grace + time.Duration(float64(n)/minSpeed*float64(time.Second))
}

// ServeHTTP answers GET and HEAD of signed links, with ranges and conditions. Without a valid
// signature an answer does not tell whether the payload exists.
func (d *Dir) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	guard(h)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "method_not_allowed", "allowed here: GET, HEAD")
		return
	}
	k, err := d.verify(r, time.Now())
	switch {
	case errors.Is(err, errExpired):
		refuse(w, http.StatusForbidden, "expired_link", err.Error())
		return
	case err != nil:
		refuse(w, http.StatusForbidden, "invalid_link", err.Error())
		return
	}
	f, info, err := d.open(k)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		refuse(w, http.StatusNotFound, "not_found", "the payload is gone")
		return
	case err != nil:
		h.Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, "unavailable", "the payload cannot be read now")
		return
	}
	defer f.Close() //nolint:errcheck // nothing was written
	// Not every writer has deadlines (a test's recorder has none).
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(Patience(info.Size())))
	h.Set("Content-Type", "application/json")
	h.Set("ETag", `"`+k.ID.String()+`"`) // keys are immutable: what it names never changes
	http.ServeContent(&answer{ResponseWriter: w}, r, "", info.ModTime(), f)
}

// open opens the file of k and follows no symbolic link: [os.Root] alone would follow links that
// stay within it.
func (d *Dir) open(k event.PayloadKey) (*os.File, fs.FileInfo, error) {
	for _, folder := range []string{k.Day.Date(), k.Folder()} {
		info, err := d.root.Lstat(folder)
		if err != nil {
			return nil, nil, err
		}
		if !info.IsDir() {
			return nil, nil, fmt.Errorf("%s is no folder", folder)
		}
	}
	info, err := d.root.Lstat(k.String())
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is no file", k)
	}
	f, err := d.root.OpenFile(k.String(), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	return f, info, err
}

// answer replaces the one error that ServeContent words itself by ours.
type answer struct {
	http.ResponseWriter
	refused bool
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeader(status int) {
	if status == http.StatusRequestedRangeNotSatisfiable {
		a.refused = true
		a.Header().Del("Content-Length")
		refuse(a.ResponseWriter, status, "invalid_range", "the range is not within the payload")
		return
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.refused {
		return len(b), nil
	}
	return a.ResponseWriter.Write(b)
}

// guard keeps browsers from guessing the type of a payload, and caches from keeping it.
func guard(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
}

// refuse answers with an error as the API words them.
func refuse(w http.ResponseWriter, status int, code, message string) {
	guard(w.Header()) // ServeContent takes it away from errors
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	var body struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	body.Error.Code, body.Error.Message = code, message
	_ = json.NewEncoder(w).Encode(body) // the client may have gone: there is nobody to tell
}
