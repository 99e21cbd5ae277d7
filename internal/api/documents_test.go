package api

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/document"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// documentCalls are those that change a document, and those that read one.
var documentChanges = []struct{ method, path, body string }{
	{"PUT", "/v1/developers/acme", "developer: acme"},
	{"DELETE", "/v1/developers/acme?data=keep", ""},
	{"POST", "/v1/developers/acme/restore", `{"version":1}`},
	{"PUT", "/v1/developers/acme/destinations/app", "kind: webhook"},
	{"DELETE", "/v1/developers/acme/destinations/app", ""},
	{"POST", "/v1/developers/acme/destinations/app/rotate-secret", ""},
}

var documentReads = []string{
	"/v1/developers/acme", "/v1/developers/acme/versions", "/v1/developers/acme/versions/2", "/v1/developers/acme/destinations/app",
}

func TestDocumentsAreAnsweredAsTheDaemonSays(t *testing.T) {
	r := newRig(t, setup{})
	for _, c := range documentChanges {
		r.docs.err = nil
		if got := r.do(c.method, c.path, c.body); got.status != 200 || !strings.Contains(string(got.body), `"plan":[{"do":"add","developer":"acme","destination":"app"}]`) {
			t.Errorf("%s %s: %s", c.method, c.path, got)
		}
		for _, f := range []struct {
			err    error
			status int
			code   string
			says   string
		}{
			{fmt.Errorf("x: %w", store.ErrNotFound), 404, "not_found", "there is no"},
			{ErrFolder, 409, "documents_are_files", "fantail reload"},
			{ErrErasing, 409, "erasing", "wait until"},
			{&Unreadable{Version: 7, Err: errors.New("no key")}, 409, "unreadable", "version 7 of the document cannot be read: no key; or hand in"},
			{&Stale{Version: 7}, 412, "stale", "version of the document is 7"},
			{store.ErrConflict, 412, "stale", "changed meanwhile"},
			{&Removal{What: "2 of 2 destinations", Plan: []Step{{Do: StepRemove, Developer: "acme", Destinations: 2, Pending: 3}}}, 409, "removal_not_allowed", `"pending":3`},
			{config.Faults{{File: "acme", Line: 3, Message: "name: is missing"}}, 422, "invalid_document", `"faults":[{"line":3,"message":"name: is missing"}]`},
			{&Refused{Developers: []string{"acme"}, Lines: []string{"developer acme: x"}}, 422, "invalid_document", "developer acme: x"},
			{&store.Unavailable{Reason: "disk"}, 503, "unavailable", "disk"},
		} {
			if c.method == "DELETE" && strings.Contains(c.path, "data=") && f.status == 422 || strings.Contains(c.path, "data=") && f.code == "removal_not_allowed" {
				continue
			}
			r.docs.err = f.err
			if got := r.do(c.method, c.path, c.body); got.status != f.status || got.code() != f.code || !strings.Contains(string(got.body), f.says) {
				t.Errorf("%s %s: %s, want %d %s with %s", c.method, c.path, got, f.status, f.code, f.says)
			}
		}
	}
	r.docs.err = &Choice{Plan: []Step{{Do: StepRemove, Developer: "acme", Destinations: 3, Pending: 39}}}
	if got := r.do("DELETE", "/v1/developers/acme", ""); got.status != 409 || got.code() != "choose_data" || !strings.Contains(string(got.body), "- acme (3 destinations, 39 pending)") {
		t.Errorf("without a choice: %s", got)
	}
	for _, err := range []error{document.ErrRotating, document.ErrNoRotation} {
		r.docs.err = fmt.Errorf("%w: until then", err)
		if got := r.do("POST", "/v1/developers/acme/destinations/app/rotate-secret", ""); got.status != 409 && got.status != 422 {
			t.Errorf("%v: %s", err, got)
		}
	}
	for _, path := range documentReads {
		r.docs.err = nil
		if got := r.do("GET", path, ""); got.status != 200 {
			t.Errorf("GET %s: %s", path, got)
		}
		r.docs.err = store.ErrNotFound
		if got := r.do("GET", path, ""); got.status != 404 {
			t.Errorf("GET %s of nobody: %s", path, got)
		}
	}
	r.docs.err = ErrFolder
	if got := r.do("GET", "/v1/developers/acme/versions", ""); got.status != 409 {
		t.Errorf("versions of a file: %s", got)
	}
	r.docs.err = config.Faults{{Line: 2, Message: "not YAML"}}
	for _, path := range []string{"/v1/developers/acme", "/v1/developers/acme/destinations/app"} {
		if got := r.do("GET", path, ""); got.status != 422 {
			t.Errorf("a file that cannot be read: %s", got)
		}
	}
	r.docs.err = nil
	if got := r.do("GET", "/v1/developers/acme/destinations/none", ""); got.status != 404 {
		t.Errorf("no such destination: %s", got)
	}
}

func TestDocumentsOfOthersDoNotExist(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("acme", "configure read", "acme"), token("reader", "read"), token("producer", "ingest"), token("all", "configure")}})
	r.docs.heads = []DocumentHead{{Developer: "acme", Version: 1}, {Developer: "globex", Version: 2}}
	for _, c := range append(slices.Clone(documentChanges), struct{ method, path, body string }{"GET", "/v1/developers/acme", ""}) {
		there := r.do(c.method, strings.Replace(c.path, "acme", "globex", 1), c.body, bearer("acme"))
		r.docs.err = store.ErrNotFound
		nowhere := r.do(c.method, strings.Replace(c.path, "acme", "globex", 1), c.body, bearer("all"))
		r.docs.err = nil
		if there.status != 404 || string(there.body) != string(nowhere.body) && c.path == "/v1/developers/acme" {
			t.Errorf("%s %s: %s, and one that is not there: %s", c.method, c.path, there, nowhere)
		}
		if c.method != "GET" {
			for _, name := range []string{"reader", "producer"} {
				if got := r.do(c.method, c.path, c.body, bearer(name)); got.status != 403 {
					t.Errorf("%s %s as %s: %s", c.method, c.path, name, got)
				}
			}
		}
		if r.docs.asked.Developer == "globex" && r.docs.asked.By == "acme" || r.docs.removal.Developer == "globex" && r.docs.removal.By == "acme" {
			t.Errorf("the daemon was asked for another's document: %+v", r.docs.asked)
		}
	}
	for name, want := range map[string]int{"acme": 1, "reader": 2, "all": 2} {
		if got := r.do("GET", "/v1/developers", "", bearer(name)); strings.Count(string(got.body), `"developer"`) != want {
			t.Errorf("list as %s: %s", name, got)
		}
	}
	for _, path := range append(slices.Clone(documentReads), "/v1/developers") {
		if got := r.do("GET", path, "", bearer("producer")); got.status != 403 {
			t.Errorf("GET %s as a producer: %s", path, got)
		}
		if got := r.do("GET", path, ""); got.status != 401 {
			t.Errorf("GET %s as nobody: %s", path, got)
		}
	}
	for _, c := range documentChanges {
		if got := r.do(c.method, c.path, c.body); got.status != 401 {
			t.Errorf("%s %s as nobody: %s", c.method, c.path, got)
		}
	}
	for _, name := range []string{"..", "%2e%2e", "a%2Fb", "a%00b", "%20", strings.Repeat("a", 65), "-x", "%C3%A9"} {
		if got := r.do("GET", "/v1/developers/"+name, "", bearer("all")); got.status != 404 {
			t.Errorf("GET %q: %s", name, got)
		}
		if got := r.do("PUT", "/v1/developers/"+name, "x: 1", bearer("all")); got.status != 404 && got.status != 422 {
			t.Errorf("PUT %q: %s", name, got)
		}
		if got := r.do("PUT", "/v1/developers/acme/destinations/"+name, "x: 1", bearer("all")); got.status != 404 && got.status != 422 {
			t.Errorf("PUT of destination %q: %s", name, got)
		}
	}
}

func TestDocumentsAreListedInPages(t *testing.T) {
	r := newRig(t, setup{})
	for i := range 25 {
		r.docs.heads = append(r.docs.heads, DocumentHead{Developer: fmt.Sprintf("dev-%02d", i), Version: 1, At: time.Now(), By: "x"})
	}
	r.docs.heads = append(r.docs.heads, DocumentHead{Developer: "zed", Faults: []string{"x"}})
	var names []string
	for cursor := ""; ; {
		got := r.do("GET", "/v1/developers?limit=10&q=DEV"+cursor, "")
		var p page[struct{ Developer string }]
		got.into(t, &p)
		for _, d := range p.Items {
			names = append(names, d.Developer)
		}
		if p.Next == "" {
			break
		}
		cursor = "&cursor=" + p.Next
	}
	if len(names) != 25 || !slices.IsSorted(names) {
		t.Errorf("listed %v", names)
	}
	for _, bad := range []string{"cursor=!", "limit=0", "limit=x", "nothing=1", "q="} {
		if got := r.do("GET", "/v1/developers?"+bad, ""); got.status != 400 {
			t.Errorf("%s: %s", bad, got)
		}
	}
}

func TestChangesSayWhichVersionTheyAreFor(t *testing.T) {
	r := newRig(t, setup{})
	for header, want := range map[string]Match{
		"":                   {},
		`If-Match: "3"`:      {Exists: true, Versions: []uint64{3}},
		`If-Match: "3", "5"`: {Exists: true, Versions: []uint64{3, 5}},
		`If-Match: W/"3"`:    {Exists: true, Versions: []uint64{}},
		`If-Match: *`:        {Exists: true},
		`If-None-Match: *`:   {New: true},
	} {
		headers := []string{}
		if header != "" {
			headers = append(headers, header)
		}
		got := r.do("PUT", "/v1/developers/acme?dry_run=1&allow_removal=true", "developer: acme", headers...)
		if a := r.docs.asked; got.status != 200 || fmt.Sprint(a.Match) != fmt.Sprint(want) || (a.Match.Versions == nil) != (want.Versions == nil) || !a.DryRun || !a.AllowRemoval || got.header.Get("ETag") != `"4"` {
			t.Errorf("%s: %s, asked %+v", header, got, a)
		}
	}
	for _, header := range []string{`If-Match: 3`, `If-Match: "x"`, `If-Match: "3`, `If-None-Match: "3"`, `If-Match: "99999999999999999999"`} {
		for _, c := range documentChanges {
			if got := r.do(c.method, c.path, c.body, header); got.status != 400 {
				t.Errorf("%s %s with %s: %s", c.method, c.path, header, got)
			}
		}
	}
}

func TestDocumentsComeAsYAMLOrJSON(t *testing.T) {
	r := newRig(t, setup{})
	for accept, want := range map[string]string{
		"": "application/yaml", "*/*": "application/yaml", "application/json": "application/json", "application/yaml, application/json": "application/yaml",
		"text/html, application/json;q=0.5": "application/json",
	} {
		got := r.do("GET", "/v1/developers/acme", "", "Accept: "+accept)
		if got.status != 200 || got.header.Get("Content-Type") != want || got.header.Get("ETag") != `"3"` || !strings.Contains(string(got.body), "webhook") {
			t.Errorf("%q: %s, %v", accept, got, got.header)
		}
	}
	for kind, want := range map[string]int{
		"application/json": 200, "application/yaml": 200, "text/yaml": 200, "application/json; charset=utf-8": 200,
		"text/plain": 415, "application/xml": 415, ";": 415, "multipart/form-data": 415,
	} {
		for _, path := range []string{"/v1/developers/acme", "/v1/developers/acme/destinations/app"} {
			if got := r.do("PUT", path, "{}", "Content-Type: "+kind); got.status != want {
				t.Errorf("%s as %s: %s", path, kind, got)
			}
		}
		if e, ok := r.docs.asked.Edit.(PutDestination); want == 200 && (!ok || e.JSON != strings.Contains(kind, "json") || e.Name != "app" || string(e.Text) != "{}") {
			t.Errorf("%s: %+v", kind, r.docs.asked.Edit)
		}
	}
	large := strings.Repeat("#", 1<<20+1)
	for _, c := range documentChanges {
		if c.body == "" && c.method == "DELETE" {
			continue
		}
		if got := r.do(c.method, c.path, large); got.status != 413 {
			t.Errorf("%s %s of 1 MiB and a byte: %s", c.method, c.path, got)
		}
		if c.method == "PUT" {
			if got := r.do(c.method, c.path, " \n"); got.status != 400 {
				t.Errorf("%s %s of nothing: %s", c.method, c.path, got)
			}
		}
	}
}

func TestARotationShowsItsSecretOnce(t *testing.T) {
	r := newRig(t, setup{})
	r.docs.changed = DocumentChanged{Version: 5, Secret: document.Secret{Text: "hunter2", Public: "whpk_x"}, RotateAt: time.Now()}
	path := "/v1/developers/acme/destinations/app/rotate-secret"
	if got := r.do("POST", path, ""); got.status != 200 || !strings.Contains(string(got.body), `"secret":"hunter2"`) || !strings.Contains(string(got.body), "whpk_x") {
		t.Errorf("rotated: %s", got)
	}
	if got := r.do("POST", path+"?dry_run=1", ""); got.status != 200 || strings.Contains(string(got.body), "hunter2") {
		t.Errorf("a dry run: %s", got)
	}
	if got := r.do("POST", path, `{"secret":"given-by-me","rotate_at":"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`"}`); got.status != 200 {
		t.Errorf("given: %s", got)
	} else if e := r.docs.asked.Edit.(RotateSecret); e.Secret.Reveal() != "given-by-me" || time.Until(e.At) > time.Hour || time.Until(e.At) < 59*time.Minute {
		t.Errorf("asked %+v", e)
	}
	for body, want := range map[string]int{
		`{"rotate_at":"2020-01-01T00:00:00Z"}`: 422, `{"rotate_at":"2220-01-01T00:00:00Z"}`: 422, `{"secret":"` + secret.Redacted + `"}`: 422, `{"rotate_at":"x"}`: 400,
		`{"secret":""}`: 400, `{"x":1}`: 400, `[`: 400,
	} {
		if got := r.do("POST", path, body); got.status != want {
			t.Errorf("%s: %s", body, got)
		}
	}
	if strings.Contains(r.log.String(), "hunter2") || strings.Contains(r.log.String(), "given-by-me") {
		t.Error("the log shows a secret")
	}
	if !strings.Contains(r.log.String(), "acme/app") {
		t.Error("the log does not show the change")
	}
}

func TestRemovalIsAskedFor(t *testing.T) {
	r := newRig(t, setup{})
	if got := r.do("DELETE", "/v1/developers/acme?data=erase&dry_run=1", ""); got.status != 200 || r.docs.removal.Data != "erase" || !r.docs.removal.DryRun || r.docs.removal.By != "local" {
		t.Errorf("%s, asked %+v", got, r.docs.removal)
	}
	for _, path := range []string{"/v1/developers/acme?data=both", "/v1/developers/acme?data=keep&dry_run=x"} {
		if got := r.do("DELETE", path, ""); got.status != 400 {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := r.do("POST", "/v1/developers/acme/restore", `{}`); got.status != 400 {
		t.Errorf("restore of nothing: %s", got)
	}
	if got := r.do("GET", "/v1/developers/acme/versions/x", ""); got.status != 404 {
		t.Errorf("no number: %s", got)
	}
}

// Who may keep documents erases no events by removing their developer.
func TestErasingADeveloperIsForWhoMayOperate(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("keeper", "configure"), token("both", "configure operate"), token("operator", "operate")}})
	for _, c := range []struct {
		who, data string
		status    int
	}{{"keeper", "keep", 200}, {"keeper", "erase", 403}, {"keeper", "erase&dry_run=1", 403}, {"both", "erase", 200}, {"operator", "erase", 403}, {"operator", "keep", 403}} {
		if got := r.do("DELETE", "/v1/developers/acme?data="+c.data, "", bearer(c.who)); got.status != c.status {
			t.Errorf("%s with data=%s: %s", c.who, c.data, got)
		}
	}
}

// A document may come to many times its size in memory: few are read at a time.
func TestFewDocumentsAreReadAtATime(t *testing.T) {
	r := newRig(t, setup{})
	for range maxDrafts {
		r.api.drafts <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		c := &call{r: httptest.NewRequestWithContext(ctx, "GET", "/", nil)}
		_, err := r.api.draft(c)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("one more: %v", err)
	}
}

func TestReloadSaysWhatItDoes(t *testing.T) {
	r := newRig(t, setup{})
	r.daemon.plan = []Step{{Do: StepAdd, Developer: "acme", Destination: "new"}, {Do: StepChange, Developer: "globex", Destination: "hooks", Keys: []string{"url"}}}
	r.daemon.notes = []string{"a note"}
	for _, path := range []string{"/v1/reload", "/v1/reload?dry_run=1&allow_removal=1"} {
		got := r.do("POST", path, "")
		if got.status != 200 || !strings.Contains(string(got.body), `"keys":["url"]`) || !strings.Contains(string(got.body), `"notes":["a note"]`) ||
			strings.Contains(path, "dry") != r.daemon.asked.DryRun || r.daemon.asked.DryRun != strings.Contains(string(got.body), `"reloaded":false,"dry_run":true`) {
			t.Errorf("%s: %s, asked %+v", path, got, r.daemon.asked)
		}
	}
	r.daemon.reload = &Removal{What: "12 of 12 developers", Plan: r.daemon.plan}
	if got := r.do("POST", "/v1/reload", ""); got.status != 409 || got.code() != "removal_not_allowed" || !strings.Contains(string(got.body), "allow_removal") || !strings.Contains(string(got.body), `"plan":[`) {
		t.Errorf("much removed: %s", got)
	}
	r.daemon.reload = &Refused{Developers: []string{"x"}, Lines: []string{"x: y"}}
	if got := r.do("POST", "/v1/reload", ""); got.status != 422 || !strings.Contains(string(got.body), `"plan":[`) {
		t.Errorf("some refused: %s", got)
	}
}

func TestStepsAreLines(t *testing.T) {
	for want, s := range map[string]Step{
		"+ acme/new":                              {Do: StepAdd, Developer: "acme", Destination: "new"},
		"~ globex/hooks (url, headers.X)":         {Do: StepChange, Developer: "globex", Destination: "hooks", Keys: []string{"url", "headers.X"}},
		"- umbrella (3 destinations, 39 pending)": {Do: StepRemove, Developer: "umbrella", Destinations: 3, Pending: 39},
		"- acme/app (1 pending)":                  {Do: StepRemove, Developer: "acme", Destination: "app", Pending: 1},
		"- acme (1 destination)":                  {Do: StepRemove, Developer: "acme", Destinations: 1},
		"+ acme":                                  {Do: StepAdd, Developer: "acme"},
	} {
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
