package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// maxDrafts is how many documents are read at a time. One of 1 MiB may come to
// many times that in memory.
const maxDrafts = 2

// draft waits for its turn to read a document.
func (a *API) draft(c *call) (end func(), err error) {
	select {
	case a.drafts <- struct{}{}:
		return func() { <-a.drafts }, nil
	case <-c.r.Context().Done():
		return nil, c.r.Context().Err()
	}
}

// configured is where a change of a developer's settings is noted: after it was
// made, with what it did.
func (a *API) configured(c *call, what, object string, version uint64) {
	a.Log.Info("settings were changed over the API", "what", what, "object", object, "version", version, "by", c.who.name)
}

// changeFailed answers for a change that was refused.
func (a *API) changeFailed(c *call, developer string, err error) error {
	if faults, ok := errors.AsType[config.Faults](err); ok {
		return c.faulty(422, "invalid_document", "the document has faults, and nothing was changed:\n"+faults.Error(), faults)
	}
	if refused, ok := errors.AsType[*Refused](err); ok {
		return c.faulty(422, "invalid_document", "nothing was changed:\n"+strings.Join(refused.Lines, "\n"), nil)
	}
	if removal, ok := errors.AsType[*Removal](err); ok {
		return c.planned(409, "removal_not_allowed", removal.Error(), removal.Plan, nil)
	}
	if choice, ok := errors.AsType[*Choice](err); ok {
		return c.planned(409, "choose_data", choice.Error(), choice.Plan, nil)
	}
	return documentFault(developer, err)
}

// faulty answers with everything that is wrong with a document.
func (c *call) faulty(status int, code, message string, faults config.Faults) error {
	type fault struct {
		Line    int    `json:"line"`
		Message string `json:"message"`
	}
	c.refused = code
	all := make([]fault, len(faults))
	for i, f := range faults {
		all[i] = fault{f.Line, f.Message}
	}
	return c.json(status, struct {
		problem
		Faults []fault `json:"faults"`
	}{problem{problemText{code, message}}, all})
}

// text reads a document that is handed in.
func (a *API) text(c *call) (raw []byte, isJSON bool, err error) {
	kind := c.r.Header.Get("Content-Type")
	if kind != "" {
		if kind, _, err = mime.ParseMediaType(kind); err != nil {
			return nil, false, refuse(415, "unsupported_type", "the Content-Type cannot be read: use application/yaml or application/json")
		}
	}
	switch kind {
	case "application/json":
		isJSON = true
	case "", "application/yaml", "application/x-yaml", "text/yaml", "application/x-www-form-urlencoded": // the last is what curl says unasked
	default:
		return nil, false, refuse(415, "unsupported_type", "a document is application/yaml or application/json")
	}
	raw, err = io.ReadAll(http.MaxBytesReader(c.ResponseWriter, a.arriving(c), strictyaml.MaxFile))
	if err != nil {
		return nil, false, unread(c, err)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, false, refuse(400, "invalid_request", "the body is empty: it has to be the document")
	}
	return raw, isJSON, nil
}

// match reads which version a change is for.
func (c *call) match() (m Match, err error) {
	bad := refuse(400, "invalid_header", `If-Match is "VERSION" as the ETag of an answer has it, or *; If-None-Match is * or left out`)
	if none := c.r.Header.Values("If-None-Match"); len(none) > 0 {
		if len(none) > 1 || strings.TrimSpace(none[0]) != "*" {
			return m, bad
		}
		m.New = true
	}
	given := c.r.Header.Values("If-Match")
	if len(given) == 0 {
		return m, nil
	}
	m.Exists, m.Versions = true, []uint64{}
	for part := range strings.SplitSeq(strings.Join(given, ","), ",") {
		part = strings.TrimSpace(part)
		if part == "*" {
			m.Versions = nil
			continue
		}
		if strings.HasPrefix(part, "W/") {
			continue // never equal, by RFC 9110
		}
		inner, ok := strings.CutPrefix(part, `"`)
		inner, end := strings.CutSuffix(inner, `"`)
		version, err := strconv.ParseUint(inner, 10, 64)
		if !ok || !end || err != nil {
			return m, bad
		}
		m.Versions = append(m.Versions, version)
	}
	return m, nil
}

// begun reads what every change of a document has, before its body is looked at.
func (c *call) begun() (ch DocumentChange, err error) {
	if ch.Developer, err = c.developer(); err != nil {
		return ch, err
	}
	if ch.Match, err = c.match(); err != nil {
		return ch, err
	}
	ch.By, ch.DryRun, ch.AllowRemoval = c.who.author(), c.query.flag("dry_run"), c.query.flag("allow_removal")
	if c.query.err != nil {
		return ch, c.query.err
	}
	if ch.DryRun {
		c.before = nil // it is no act
	}
	return ch, nil
}

// begunAt is begun for a change of one destination.
func (c *call) begunAt() (ch DocumentChange, name string, err error) {
	ch, err = c.begun()
	if name = c.r.PathValue("destination"); err == nil && !event.ValidName(name) {
		err = refuse(422, "invalid_name", "the name of a destination must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit")
	}
	return ch, name, err
}

// putDeveloper replaces a developer's document, or makes one.
func (a *API) putDeveloper(c *call) error {
	ch, err := c.begun()
	if err != nil {
		return err
	}
	raw, isJSON, err := a.text(c)
	if err != nil {
		return err
	}
	ch.Edit = ReplaceDocument{raw, isJSON}
	return a.change(c, "put", ch)
}

func (a *API) putDeveloperDestination(c *call) error {
	ch, name, err := c.begunAt()
	if err != nil {
		return err
	}
	raw, isJSON, err := a.text(c)
	if err != nil {
		return err
	}
	ch.Edit = PutDestination{name, raw, isJSON}
	return a.change(c, "put destination", ch)
}

func (a *API) deleteDeveloperDestination(c *call) error {
	ch, name, err := c.begunAt()
	if err != nil {
		return err
	}
	ch.Edit = RemoveDestination{name}
	return a.change(c, "remove destination", ch)
}

// rotateSecret gives a destination a new secret, and shows it this once.
func (a *API) rotateSecret(c *call) error {
	ch, name, err := c.begunAt()
	if err != nil {
		return err
	}
	var req struct {
		Secret   string `json:"secret"`
		RotateAt string `json:"rotate_at"`
	}
	if err := a.decode(c, &req); err != nil {
		return err
	}
	at, bad := parseTime("rotate_at", req.RotateAt)
	if bad != nil {
		return bad
	}
	now := time.Now()
	if at.IsZero() {
		at = now.Add(24 * time.Hour)
	}
	if at.Before(now.Add(-time.Minute)) || at.After(now.AddDate(1, 0, 0)) {
		return refuse(422, "invalid_request", "rotate_at must be from now to in a year")
	}
	if strings.Contains(req.Secret, secret.Redacted) {
		return refuse(422, "invalid_request", "secret is the new secret itself, or left out to have one made")
	}
	ch.Edit = RotateSecret{name, secret.New(req.Secret), at}
	return a.change(c, "rotate secret", ch)
}

func (a *API) restoreDeveloper(c *call) error {
	ch, err := c.begun()
	if err != nil {
		return err
	}
	var req struct {
		Version uint64 `json:"version"`
	}
	if err := a.decode(c, &req); err != nil {
		return err
	}
	if req.Version == 0 {
		return refuse(400, "invalid_request", "version says which one is to be the newest again")
	}
	ch.Edit = RestoreDocument{req.Version}
	return a.change(c, "restore", ch)
}

// change makes a change of a document and answers with what it does.
func (a *API) change(c *call, what string, ch DocumentChange) error {
	developer := ch.Developer
	end, err := a.draft(c)
	if err != nil {
		return err
	}
	defer end()
	done, err := a.Documents.ChangeDocument(c.r.Context(), ch)
	if _, replaces := ch.Edit.(ReplaceDocument); errors.Is(err, store.ErrNotFound) && !replaces {
		return notFound("there is no such version or destination in the document of developer " + strconv.Quote(developer) + ", or no document")
	}
	if err != nil {
		return a.changeFailed(c, developer, err)
	}
	if !ch.DryRun {
		object := developer
		if name := c.r.PathValue("destination"); name != "" {
			object += "/" + name
		}
		a.configured(c, what, object, done.Version)
	}
	if done.Version > 0 {
		c.Header().Set("ETag", etag(done.Version))
	}
	v := struct {
		Developer string    `json:"developer"`
		Version   uint64    `json:"version"`
		DryRun    bool      `json:"dry_run,omitempty"`
		Plan      []Step    `json:"plan"`
		Notes     []string  `json:"notes,omitempty"`
		Secret    string    `json:"secret,omitempty"`
		Public    string    `json:"public_key,omitempty"`
		RotateAt  time.Time `json:"rotate_at,omitzero"`
	}{developer, done.Version, ch.DryRun, append([]Step{}, done.Plan...), done.Notes, "", "", done.RotateAt}
	if !ch.DryRun { // what a dry run made is not kept
		v.Secret, v.Public = done.Secret.Text, done.Secret.Public
	}
	return c.json(200, v)
}

// deleteDeveloper removes a developer, and keeps or erases what they have.
func (a *API) deleteDeveloper(c *call) error {
	developer, err := c.developer()
	if err != nil {
		return err
	}
	match, err := c.match()
	if err != nil {
		return err
	}
	r := DeveloperRemoval{Developer: developer, By: c.who.name, Match: match, Data: c.query.text("data"), DryRun: c.query.flag("dry_run")}
	if c.query.err != nil {
		return c.query.err
	}
	if r.DryRun {
		c.before = nil // it is no act
	}
	if !slices.Contains([]string{"", KeepData, EraseData}, r.Data) {
		return refuse(400, "invalid_parameter", fmt.Sprintf("data is %s or %s", KeepData, EraseData))
	}
	if r.Data == EraseData && c.who.may&canOperate == 0 {
		return refuse(403, "forbidden", fmt.Sprintf("data=erase erases events and cancels deliveries, which %v may not: that needs operate as well", c.who))
	}
	gone := a.letting(c)
	r.Cancelled = gone.note
	done, err := a.Documents.RemoveDeveloper(c.r.Context(), r)
	gone.tell()
	if r.Data == EraseData && !r.DryRun {
		a.tellPeers(c, peerAction{Do: doForget, Developer: developer}, 0, nil)
	}
	if err != nil {
		return a.changeFailed(c, developer, err)
	}
	if !r.DryRun {
		a.configured(c, "delete, data "+r.Data, developer, 0)
	}
	return c.json(200, struct {
		Developer string `json:"developer"`
		DryRun    bool   `json:"dry_run,omitempty"`
		Plan      []Step `json:"plan"`
		Events    int    `json:"events_erased,omitempty"`
		Cancelled int    `json:"cancelled,omitempty"`
		Payloads  int    `json:"payloads_erased,omitempty"`
		Left      string `json:"left,omitempty"`
	}{developer, r.DryRun, append([]Step{}, done.Plan...), done.Events, done.Cancelled, done.Payloads, done.Left})
}
