package api

import (
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/document"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func noDeveloper(name string) error {
	return notFound("there is no document of developer " + name)
}

// developer returns whose document the path names. Those of others do not exist.
func (c *call) developer() (string, error) {
	name := c.r.PathValue("developer")
	if !event.ValidName(name) && c.r.Method == http.MethodPut && c.who.developers == nil {
		return "", refuse(422, "invalid_name", "the name of a developer must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit")
	}
	if !event.ValidName(name) || !c.who.sees(name) {
		return "", noDeveloper(strconv.Quote(name))
	}
	return name, nil
}

// documentFault translates an error of [Documents].
func documentFault(developer string, err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return noDeveloper(strconv.Quote(developer))
	case errors.Is(err, ErrFolder):
		return refuse(409, "documents_are_files", err.Error())
	case errors.Is(err, store.ErrConflict):
		return refuse(412, "stale", "the document was changed meanwhile: read it again")
	case errors.Is(err, document.ErrRotating):
		return refuse(409, "rotating", err.Error())
	case errors.Is(err, document.ErrNoRotation):
		return refuse(422, "no_rotation", "the destination's kind has no secret that rotates, or it has none yet")
	case errors.Is(err, ErrErasing):
		return refuse(409, "erasing", err.Error())
	}
	if closed, ok := errors.AsType[*Unreadable](err); ok {
		return refuse(409, "unreadable", closed.Error()+"; or hand in the whole document again, or restore another version")
	}
	if stale, ok := errors.AsType[*Stale](err); ok {
		return refuse(412, "stale", stale.Error())
	}
	return err
}

// documentView is a document in a list, or one version of it.
type documentView struct {
	Developer    string    `json:"developer"`
	Version      uint64    `json:"version,omitempty"`
	At           time.Time `json:"at,omitzero"`
	By           string    `json:"by,omitempty"`
	Deleted      bool      `json:"deleted,omitempty"`
	Destinations *int      `json:"destinations,omitempty"`
	Faults       []string  `json:"faults,omitempty"`
}

// listDevelopers lists those who have a document, by their names.
func (a *API) listDevelopers(c *call) error {
	q := &c.query
	limit, part := q.limit(), strings.ToLower(q.text("q"))
	if q.err != nil {
		return q.err
	}
	after, err := base64.RawURLEncoding.Strict().DecodeString(q.text("cursor"))
	if err != nil {
		return store.ErrCursor
	}
	p := page[documentView]{Items: []documentView{}}
	for _, h := range a.Documents.DocumentHeads() {
		if !c.who.sees(h.Developer) || h.Developer <= string(after) || !strings.Contains(strings.ToLower(h.Developer), part) {
			continue
		}
		if len(p.Items) == limit {
			p.Next = base64.RawURLEncoding.EncodeToString([]byte(p.Items[limit-1].Developer))
			break
		}
		p.Items = append(p.Items, documentView{h.Developer, h.Version, h.At, a.nameFor(c.who, h.By, ""), false, &h.Destinations, h.Faults})
	}
	return c.json(200, p)
}

// getDeveloper answers with the newest document of a developer.
func (a *API) getDeveloper(c *call) error { return a.showDocument(c, 0, "") }

// getVersion answers with one version.
func (a *API) getVersion(c *call) error {
	version, err := strconv.ParseUint(c.r.PathValue("version"), 10, 64)
	if err != nil || version == 0 {
		return notFound("there is no such version: it is a number from 1")
	}
	return a.showDocument(c, version, "")
}

// getDeveloperDestination answers with one destination of the newest document.
func (a *API) getDeveloperDestination(c *call) error {
	return a.showDocument(c, 0, c.r.PathValue("destination"))
}

func (a *API) showDocument(c *call, version uint64, destination string) error {
	developer, err := c.developer()
	if err != nil {
		return err
	}
	end, err := a.draft(c)
	if err != nil {
		return err
	}
	defer end()
	head, root, err := a.Documents.ReadDocument(c.r.Context(), developer, version)
	if faults, ok := errors.AsType[config.Faults](err); ok {
		return c.faulty(422, "invalid_document", "the document cannot be read:\n"+faults.Error(), faults)
	}
	if err != nil {
		return documentFault(developer, err)
	}
	if destination != "" {
		if root = document.Destination(root, destination); root == nil {
			return notFound("there is no such destination in the document")
		}
	}
	if head.Version > 0 {
		c.Header().Set("ETag", etag(head.Version))
	}
	return c.document(root)
}

func etag(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

// document answers in the form that was asked for, YAML if none was.
func (c *call) document(root *yaml.Node) error {
	if wantsJSON(c.r.Header.Values("Accept")) {
		c.send(200, asJSON, document.JSON(root))
		return nil
	}
	text, err := document.YAML(root)
	if err != nil {
		return err
	}
	c.send(200, asYAML, text)
	return nil
}

// wantsJSON tells whether JSON is named before YAML, or alone.
func wantsJSON(accept []string) bool {
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, _, _ := mime.ParseMediaType(strings.TrimSpace(part))
		switch kind {
		case "application/json":
			return true
		case "application/yaml", "application/x-yaml", "text/yaml":
			return false
		}
	}
	return false
}

// listVersions lists what is kept of a document.
func (a *API) listVersions(c *call) error {
	developer, err := c.developer()
	if err != nil {
		return err
	}
	all, err := a.Documents.DocumentVersions(c.r.Context(), developer)
	if err != nil {
		return documentFault(developer, err)
	}
	items := make([]documentView, len(all))
	for i, h := range all {
		items[i] = documentView{Developer: h.Developer, Version: h.Version, At: h.At, By: a.nameFor(c.who, h.By, ""), Deleted: h.Deleted}
	}
	return c.json(200, struct {
		Items []documentView `json:"items"`
	}{items})
}
