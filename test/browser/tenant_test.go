package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// TestATenantReachesNothingOfAnother makes every call that openapi.yaml describes with the session of a portal
// link of acme that allows all that a link can, about globex: each parameter and member that can name something
// names what is globex's. Nothing of globex is in any answer, nothing of globex has changed after all of them.
func TestATenantReachesNothingOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withTokens+"payloads: { dir: { path: payloads, public_url: \"http://127.0.0.1:9\" } }\n")
	ctx := context.Background()
	theirs := w.send("globex", "reference-of-globex", `{"type":"type-of-globex","user":{"user_id":"user-of-globex"},"data":[]}`)
	w.until("globex's event is dead", func(rows map[string]client.AuditRow) bool { return rows["globex/hooks"].Dead == 5 })
	replay, err := w.Replay(ctx, client.ReplayRequest{Developer: "globex", DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	link, err := w.MakePortalLink(ctx, client.PortalLinkRequest{Developer: "globex"})
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"read", "configure", "retry", "test", "replay"}
	bearer := w.portal("acme", all)
	before := w.stateOf("globex")

	markers := []string{"globex", theirs.ID, theirs.ID[:18], w.dead, link.ID, longName, "hasOwnProperty", "umbrella", w.far["globex/hooks"].URL}
	c := caller{t: t, base: "http://" + w.address, bearer: bearer, foreign: map[string][]string{
		"id":        {theirs.ID, w.dead, theirs.ID[:18], fmt.Sprint(replay.ID), link.ID, "user-of-globex"},
		"developer": {"globex"}, "dev-id": {"globex"}, "dev_id": {"globex"}, "destination": {"hooks"}, "event": {theirs.ID}, "user": {"user-of-globex"}, "users": {"user-of-globex"},
		"version": {"1"}, "day": {time.Now().UTC().Format(time.DateOnly)}, "object": {theirs.ID + ".json"}, "name": {"globex"}, "type": {"type-of-globex"},
	}}
	made := c.all(w, func(call, answered string, status int) {
		for _, m := range markers {
			if (status < 400 || !strings.Contains(call, m)) && strings.Contains(answered, m) {
				t.Errorf("%s answers %d with %q: %.300s", call, status, m, answered)
			}
		}
	})
	if made < 150 {
		t.Errorf("only %d calls were made", made)
	}
	if after := w.stateOf("globex"); !reflect.DeepEqual(before, after) {
		t.Errorf("globex was\n%v\nand is\n%v", before, after)
	}
	// The same calls about acme do reach something: else nothing was tried.
	c.bearer = w.portal("acme", all)
	found := 0
	c.foreign["developer"], c.foreign["destination"], c.foreign["id"], c.foreign["event"] = []string{"acme"}, []string{"app"}, []string{w.hostile.ID}, []string{w.hostile.ID}
	c.all(w, func(_, answered string, status int) {
		if status < 300 && strings.Contains(answered, w.hostile.ID) {
			found++
		}
	})
	if found < 5 {
		t.Errorf("only %d calls reach what is acme's own", found)
	}
}

// portal opens a session of a developer's portal and returns its secret.
func (w *world) portal(developer string, may []string) string {
	w.t.Helper()
	l, err := w.MakePortalLink(context.Background(), client.PortalLinkRequest{Developer: developer, May: may})
	if err != nil {
		w.t.Fatal(err)
	}
	_, code, _ := strings.Cut(l.URL, "#link=")
	code, err = url.QueryUnescape(code)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := w.BeginSession(context.Background(), code)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Bearer
}

// stateOf is all of a developer that a call could change.
func (w *world) stateOf(developer string) (state []string) {
	w.t.Helper()
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	rows, err := w.Audit(ctx, true)
	must(err)
	for _, r := range rows {
		if r.Developer == developer {
			state = append(state, fmt.Sprintf("%s %d %d %d %d %v", r.Destination, r.Accepted, r.Delivered, r.Dead, r.Cancelled, r.Balanced))
		}
	}
	for d, err := range w.Destinations(ctx, developer, "") {
		must(err)
		state = append(state, d.Name+" "+d.State)
	}
	versions, err := w.DocumentVersions(ctx, developer)
	must(err)
	doc, err := w.Document(ctx, developer)
	must(err)
	state = append(state, fmt.Sprint(len(versions)), string(doc.Text))
	for e, err := range w.Events(ctx, client.EventFilter{Developer: developer}) {
		must(err)
		state = append(state, fmt.Sprintf("%+v", e))
	}
	for l, err := range w.PortalLinks(ctx, developer) {
		must(err)
		state = append(state, l.ID)
	}
	for r, err := range w.Replays(ctx, developer, 0) {
		must(err)
		state = append(state, fmt.Sprintf("%d %v", r.ID, r.DryRun))
	}
	return state
}

// caller makes the calls of a description.
type caller struct {
	t       testing.TB
	base    string
	bearer  string
	foreign map[string][]string // values by the name of a parameter or member
	root    map[string]any
}

// all makes every call in every variant, and returns how many.
func (c *caller) all(w *world, seen func(call, answered string, status int)) (made int) {
	c.t.Helper()
	text, err := w.Description(context.Background())
	if err == nil {
		err = yaml.Load(text, &c.root)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	paths := c.root["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := paths[path].(map[string]any)
		for _, method := range []string{"get", "put", "post", "delete"} {
			op, ok := item[method].(map[string]any)
			if !ok || strings.HasSuffix(path, "/session") { // it would end here
				continue
			}
			own, _ := op["parameters"].([]any)
			shared, _ := item["parameters"].([]any)
			for _, target := range c.targets(path) {
				for _, q := range c.queries(append(shared, own...)) {
					for _, body := range c.bodies(op) {
						call := strings.ToUpper(method) + " " + target + q
						status, answered := c.call(strings.ToUpper(method), target+q, body, slices.Concat(shared, own))
						seen(call+" "+string(body.text), answered, status)
						made++
					}
				}
			}
		}
	}
	return made
}

// targets are the path with every value that each of its parameters may have.
func (c *caller) targets(path string) []string {
	out := []string{path}
	for {
		_, rest, found := strings.Cut(out[0], "{")
		if !found {
			return out
		}
		name, _, _ := strings.Cut(rest, "}")
		var next []string
		for _, p := range out {
			for _, v := range c.foreign[name] {
				next = append(next, strings.Replace(p, "{"+name+"}", url.PathEscape(v), 1))
			}
		}
		if len(next) == 0 {
			c.t.Fatalf("%s: no value for %s", path, name)
		}
		out = next
	}
}

// queries are none, and each parameter with a foreign value: alone, and all at once.
func (c *caller) queries(parameters []any) []string {
	out, all := []string{""}, url.Values{}
	for _, p := range parameters {
		p := c.follow(p.(map[string]any))
		name, _ := p["name"].(string)
		if p["in"] != "query" || len(c.foreign[name]) == 0 {
			continue
		}
		all.Set(name, c.foreign[name][0])
		out = append(out, "?"+url.Values{name: c.foreign[name][:1]}.Encode())
	}
	if len(all) > 1 {
		out = append(out, "?"+all.Encode())
	}
	return out
}

type body struct {
	kind string
	text []byte
}

// bodies are none, one with what the schema requires, and one with every member that names something.
func (c *caller) bodies(op map[string]any) []body {
	out := []body{{}}
	request, ok := op["requestBody"].(map[string]any)
	if !ok {
		return out
	}
	for kind, content := range request["content"].(map[string]any) {
		switch kind {
		case "application/json":
			schema := c.follow(content.(map[string]any)["schema"].(map[string]any))
			for _, named := range []bool{false, true} {
				b, err := json.Marshal(c.example(schema, named))
				if err != nil {
					c.t.Fatal(err)
				}
				out = append(out, body{kind, b})
			}
		case "application/yaml":
			out = append(out, body{kind, []byte("developer: globex\ndestinations: []\n")}, body{kind, []byte("kind: webhook\n")})
		case "application/x-ndjson":
			out = append(out, body{kind, []byte(`{"dev_id":"globex","event":{"type":"x"}}` + "\n")})
		}
	}
	return out
}

func (c *caller) example(schema map[string]any, named bool) map[string]any {
	v := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for name, p := range properties {
		p := c.follow(p.(map[string]any))
		foreign := c.foreign[name]
		if !slices.Contains(required, any(name)) && (!named || len(foreign) == 0) {
			continue
		}
		switch {
		case p["type"] == "integer":
			v[name] = 1
		case p["type"] == "array" && len(foreign) > 0:
			v[name] = foreign
		case len(foreign) > 0:
			v[name] = foreign[0]
		default:
			v[name] = "x"
		}
	}
	return v
}

func (c *caller) follow(node map[string]any) map[string]any {
	ref, ok := node["$ref"].(string)
	if !ok {
		return node
	}
	var at any = c.root
	for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at = at.(map[string]any)[step]
	}
	return c.follow(at.(map[string]any))
}

func (c *caller) call(method, target string, b body, parameters []any) (status int, answered string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+target, bytes.NewReader(b.text))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.bearer)
	if b.kind != "" {
		req.Header.Set("Content-Type", b.kind)
	}
	for _, p := range parameters {
		if p := c.follow(p.(map[string]any)); p["in"] == "header" && len(c.foreign[p["name"].(string)]) > 0 {
			req.Header.Set(p["name"].(string), c.foreign[p["name"].(string)][0])
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	from := io.Reader(res.Body)
	if res.Header.Get("Content-Type") == "text/event-stream" { // its first line, which says that it goes on
		from = io.LimitReader(from, 10)
	}
	text, err := io.ReadAll(from)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}
