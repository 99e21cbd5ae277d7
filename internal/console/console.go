// Package console has the pages for browsers, which the binary contains: web/ is what
// they are made of, dist what `make console` makes of it. They speak to the daemon over
// its public API alone, and nothing here is secret.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strings"
	"sync/atomic"
)

//go:embed dist
var dist embed.FS

// Look is how the pages look, and who may show them in a frame.
type Look struct {
	Name      string   // "": Fantail
	Logo      string   // path of an image; "": none
	Accent    string   // #rrggbb; "": ours
	Ancestors []string // origins of pages that may embed these; nil: none
}

// Handler answers what is below /console/. It needs no token: the pages ask for one.
type Handler struct {
	fixed map[string]*asset // what the binary contains, by name
	index *template.Template
	now   atomic.Pointer[look]
}

// look is what the settings make of the pages.
type look struct {
	assets map[string]*asset
	policy string // Content-Security-Policy
}

// asset is one file, as it is sent.
type asset struct {
	kind   string // Content-Type
	etag   string
	body   []byte
	zipped []byte // nil: it gets no smaller
}

var _ http.Handler = (*Handler)(nil)

// New returns the pages with our own look.
func New() (*Handler, error) {
	h := &Handler{fixed: map[string]*asset{}}
	entries, err := fs.ReadDir(dist, "dist")
	if err != nil {
		return nil, fmt.Errorf("read the pages: %w", err)
	}
	for _, e := range entries {
		b, err := fs.ReadFile(dist, "dist/"+e.Name())
		if err != nil {
			return nil, fmt.Errorf("read the pages: %w", err)
		}
		if e.Name() == "index.html" {
			if h.index, err = template.New(e.Name()).Parse(string(b)); err != nil {
				return nil, fmt.Errorf("read the pages: %w", err)
			}
			continue
		}
		h.fixed[e.Name()] = newAsset(e.Name(), b)
	}
	if h.index == nil {
		return nil, fmt.Errorf("read the pages: index.html is missing")
	}
	return h, h.SetLook(Look{})
}

// SetLook changes the look for requests that begin from now on. A logo that cannot be
// read is left out, and its error returned.
func (h *Handler) SetLook(l Look) error {
	next := &look{assets: map[string]*asset{}, policy: policyFor(l.Ancestors)}
	var failed error
	if l.Logo != "" {
		b, err := os.ReadFile(l.Logo)
		if err != nil {
			failed, l.Logo = fmt.Errorf("read the logo of the console: %w", err), ""
		} else {
			logo := newAsset(strings.ToLower(path.Ext(l.Logo)), b)
			next.assets["logo"] = logo
		}
	}
	if l.Name == "" {
		l.Name = "Fantail"
	}
	var page bytes.Buffer
	if err := h.index.Execute(&page, l); err != nil {
		return fmt.Errorf("write the page of the console: %w", err)
	}
	next.assets["index.html"] = newAsset("index.html", page.Bytes())
	next.assets["brand.css"] = newAsset("brand.css", []byte(brand(l.Accent)))
	h.now.Store(next)
	return failed
}

// policyFor allows the pages nothing but what the daemon itself serves: no inline script or
// style, no eval, no other host.
func policyFor(ancestors []string) string {
	who := "'none'"
	if len(ancestors) > 0 {
		who = strings.Join(ancestors, " ")
	}
	return "default-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; frame-ancestors " + who
}

// logoPolicy is of the logo, which is a document of its own where somebody opens it alone: whatever is in it, it runs
// nothing there, reads nothing and is of no origin. Its own styles are most of what an SVG is made of.
const logoPolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"

// ServeHTTP answers a request whose path begins with /console/.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := h.now.Load()
	head := w.Header()
	head.Set("Content-Security-Policy", now.policy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		http.Error(w, "these are pages: GET them", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/console/")
	if name == "" {
		name = "index.html"
	}
	a := now.assets[name]
	if a == nil {
		a = h.fixed[name]
	}
	if name == "logo" {
		head.Set("Content-Security-Policy", logoPolicy)
	}
	if a == nil {
		http.Error(w, "there is no such page: the console is at /console/", http.StatusNotFound)
		return
	}
	a.serve(w, r)
}

func newAsset(name string, body []byte) *asset {
	sum := sha256.Sum256(body)
	a := &asset{kind: mime.TypeByExtension(path.Ext(name)), body: body, etag: `"` + hex.EncodeToString(sum[:12]) + `"`}
	if kind := kinds[path.Ext(name)]; kind != "" {
		a.kind = kind // what the system's tables say differs from machine to machine
	}
	var zipped bytes.Buffer
	z, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // the level exists
	_, _ = z.Write(body)                                       // a buffer takes everything
	_ = z.Close()
	if zipped.Len() < len(body) {
		a.zipped = zipped.Bytes()
	}
	return a
}

var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp", ".txt": "text/plain; charset=utf-8",
}

// serve sends a, unless the browser has it. Browsers ask each time: after an upgrade, or a
// change of the settings, no page is made of two versions.
func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Type", a.kind)
	head.Set("Cache-Control", "no-cache")
	head.Set("ETag", a.etag)
	head.Set("Vary", "Accept-Encoding")
	if knows(r.Header.Get("If-None-Match"), a.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.body
	if a.zipped != nil && takesGzip(r.Header.Get("Accept-Encoding")) {
		head.Set("Content-Encoding", "gzip")
		body = a.zipped
	}
	head.Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // the client may have gone: there is nobody to tell
	}
}
