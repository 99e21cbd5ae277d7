package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// DocumentHead is a developer's document without its text, or one version of it.
type DocumentHead struct {
	Developer    string    `json:"developer"`
	Version      uint64    `json:"version"` // 0: the documents are files
	At           time.Time `json:"at,omitzero"`
	By           string    `json:"by,omitempty"` // the name of the token that made it
	Deleted      bool      `json:"deleted,omitempty"`
	Destinations int       `json:"destinations"`
	Faults       []string  `json:"faults,omitempty"` // why it is not in force; the last good settings are
}

// Document is a version of a developer's settings in YAML, its secrets [redacted].
type Document struct {
	Version uint64 // 0: it is a file
	Text    []byte
}

// Step is one thing that a change of settings does. It names keys, and no values.
type Step struct {
	Do           string   `json:"do"` // add, change, remove
	Developer    string   `json:"developer"`
	Destination  string   `json:"destination,omitempty"` // "": the developer, with all their destinations
	Keys         []string `json:"keys,omitempty"`
	Destinations int      `json:"destinations,omitempty"`
	Pending      int64    `json:"pending,omitempty"`
}

// String is one line: + acme/new, ~ globex/hooks (url), - umbrella (3 destinations, 39 pending).
func (s Step) String() string {
	name := map[string]string{"add": "+ ", "change": "~ ", "remove": "- "}[s.Do] + s.Developer
	if s.Destination != "" {
		name += "/" + s.Destination
	}
	more := append([]string{}, s.Keys...)
	if s.Destinations == 1 {
		more = append(more, "1 destination")
	} else if s.Destinations > 1 {
		more = append(more, fmt.Sprintf("%d destinations", s.Destinations))
	}
	if s.Pending > 0 {
		more = append(more, fmt.Sprintf("%d pending", s.Pending))
	}
	if len(more) == 0 {
		return name
	}
	return name + " (" + strings.Join(more, ", ") + ")"
}

// DocumentFault is one thing that is wrong with a document.
type DocumentFault struct {
	Line    int    `json:"line"` // from 1; 0: of the whole
	Message string `json:"message"`
}

// ChangeOptions say how a document is changed.
type ChangeOptions struct {
	Version      uint64 // that the change is for, else it is refused with 412; 0: whichever
	New          bool   // only if there is none
	DryRun       bool   // say what it would do, and change nothing
	AllowRemoval bool   // also if nothing is left, or much is removed
}

func (o ChangeOptions) query() url.Values {
	return url.Values(params{}.flag("dry_run", o.DryRun).flag("allow_removal", o.AllowRemoval))
}

func (o ChangeOptions) header(h http.Header) http.Header {
	if o.Version > 0 {
		h.Set("If-Match", `"`+strconv.FormatUint(o.Version, 10)+`"`)
	}
	if o.New {
		h.Set("If-None-Match", "*")
	}
	return h
}

// DocumentChanged is what came of a change.
type DocumentChanged struct {
	Developer string    `json:"developer"`
	Version   uint64    `json:"version"` // that is the newest now
	DryRun    bool      `json:"dry_run,omitempty"`
	Plan      []Step    `json:"plan"`
	Notes     []string  `json:"notes,omitempty"`
	Secret    string    `json:"secret,omitempty"` // of a rotation: shown this once
	Public    string    `json:"public_key,omitempty"`
	RotateAt  time.Time `json:"rotate_at,omitzero"`
}

// Developers lists those who have a document and part in their names, by name.
func (c *Client) Developers(ctx context.Context, part string) iter.Seq2[DocumentHead, error] {
	return list[DocumentHead](ctx, c, "/v1/developers", url.Values(params{}.text("q", part)), extent{})
}

// Document returns the newest document of a developer.
func (c *Client) Document(ctx context.Context, developer string) (Document, error) {
	return c.document(ctx, "/v1/developers/"+segment(developer))
}

// DocumentVersion returns one of the versions that are kept.
func (c *Client) DocumentVersion(ctx context.Context, developer string, version uint64) (Document, error) {
	return c.document(ctx, "/v1/developers/"+segment(developer)+"/versions/"+strconv.FormatUint(version, 10))
}

// DocumentDestination returns one destination of the newest document of a developer.
func (c *Client) DocumentDestination(ctx context.Context, developer, name string) (Document, error) {
	return c.document(ctx, documentPath(developer, name))
}

func documentPath(developer, name string) string {
	return "/v1/developers/" + segment(developer) + "/destinations/" + segment(name)
}

func (c *Client) document(ctx context.Context, path string) (d Document, err error) {
	r := get(path, nil)
	r.header = http.Header{"Accept": {"application/yaml"}}
	err = c.try(ctx, r, func(res *http.Response) (err error) {
		d.Version, _ = strconv.ParseUint(strings.Trim(res.Header.Get("ETag"), `"`), 10, 64)
		d.Text, err = io.ReadAll(res.Body)
		return err
	})
	return d, err
}

// DocumentVersions lists what is kept of a document, newest first.
func (c *Client) DocumentVersions(ctx context.Context, developer string) ([]DocumentHead, error) {
	var answer struct {
		Items []DocumentHead `json:"items"`
	}
	err := c.fetch(ctx, get("/v1/developers/"+segment(developer)+"/versions", nil), &answer)
	return answer.Items, err
}

// PutDocument replaces the document of a developer, or makes one, of a text in YAML.
func (c *Client) PutDocument(ctx context.Context, developer string, text []byte, o ChangeOptions) (DocumentChanged, error) {
	return c.changeDocument(ctx, call{method: http.MethodPut, path: "/v1/developers/" + segment(developer), body: text,
		header: http.Header{"Content-Type": {"application/yaml"}}}, o)
}

// PutDestination sets one destination of a document, of a text in YAML.
func (c *Client) PutDestination(ctx context.Context, developer, name string, text []byte, o ChangeOptions) (DocumentChanged, error) {
	return c.changeDocument(ctx, call{method: http.MethodPut, path: documentPath(developer, name), body: text,
		header: http.Header{"Content-Type": {"application/yaml"}}}, o)
}

// RemoveDestination takes one destination out of a document.
func (c *Client) RemoveDestination(ctx context.Context, developer, name string, o ChangeOptions) (DocumentChanged, error) {
	return c.changeDocument(ctx, call{method: http.MethodDelete, path: documentPath(developer, name), header: http.Header{}}, o)
}

// RestoreDocument makes a version of a document the newest again.
func (c *Client) RestoreDocument(ctx context.Context, developer string, version uint64, o ChangeOptions) (DocumentChanged, error) {
	r, err := post("/v1/developers/"+segment(developer)+"/restore", map[string]uint64{"version": version})
	if err != nil {
		return DocumentChanged{}, err
	}
	return c.changeDocument(ctx, r, o)
}

// Rotation is a new secret.
type Rotation struct {
	Secret string    `json:"secret,omitempty"` // "": the daemon makes one
	At     time.Time `json:"rotate_at,omitzero"`
}

// RotateSecret gives a destination a secret that is used from a time on, in 24 h if
// none is given.
func (c *Client) RotateSecret(ctx context.Context, developer, name string, rotation Rotation, o ChangeOptions) (DocumentChanged, error) {
	r, err := post(documentPath(developer, name)+"/rotate-secret", rotation)
	if err != nil {
		return DocumentChanged{}, err
	}
	return c.changeDocument(ctx, r, o)
}

func (c *Client) changeDocument(ctx context.Context, r call, o ChangeOptions) (done DocumentChanged, err error) {
	r.query, r.header = o.query(), o.header(r.header)
	// With a version it is made once, however often it is asked for: the second is stale.
	err = c.fetch(ctx, r, &done)
	return done, err
}

// DeveloperRemoved is what came of a removal.
type DeveloperRemoved struct {
	Developer string `json:"developer"`
	DryRun    bool   `json:"dry_run,omitempty"`
	Plan      []Step `json:"plan"`
	Events    int    `json:"events_erased,omitempty"`
	Cancelled int    `json:"cancelled,omitempty"`
	Payloads  int    `json:"payloads_erased,omitempty"`
	Left      string `json:"left,omitempty"` // what an erasure leaves, and what to do about it
}

// RemoveDeveloper removes a developer. data is "keep" or "erase"; with "" it is
// refused, with what is pending, unless it is a dry run.
func (c *Client) RemoveDeveloper(ctx context.Context, developer, data string, o ChangeOptions) (done DeveloperRemoved, err error) {
	err = c.fetch(ctx, call{method: http.MethodDelete, path: "/v1/developers/" + segment(developer),
		query: url.Values(params(o.query()).text("data", data)), header: o.header(http.Header{})}, &done)
	return done, err
}

// ReloadOptions say how the settings are read again.
type ReloadOptions struct {
	DryRun       bool // say what it would do, and change nothing
	AllowRemoval bool // also if it removes much
}

// Reloaded is what came of it.
type Reloaded struct {
	Waiting []string `json:"at_next_start,omitempty"` // settings that wait for the next start
	Plan    []Step   `json:"plan"`
	Notes   []string `json:"notes,omitempty"` // what is allowed in the settings, and deserves to be said
}

// ReloadWith is Reload that says what it does. Of a refusal of some developers it
// returns what was done all the same.
func (c *Client) ReloadWith(ctx context.Context, o ReloadOptions) (done Reloaded, err error) {
	r, err := post("/v1/reload", nil)
	if err != nil {
		return done, err
	}
	r.query = url.Values(params{}.flag("dry_run", o.DryRun).flag("allow_removal", o.AllowRemoval))
	err = c.fetch(ctx, r, &done)
	if refused, ok := errors.AsType[*Refused](err); ok {
		done.Plan, done.Notes = refused.Plan, refused.Notes
	}
	return done, err
}
