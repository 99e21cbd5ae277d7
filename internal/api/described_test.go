package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// recorder is a transport that holds every answer to openapi.yaml.
type recorder struct {
	t    testing.TB
	desc *described
	next http.RoundTripper
	seen func(operation string, status int) // of every answer; nil: nobody looks
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.next.RoundTrip(req)
	if err == nil {
		res.Body = &recorded{r: r, req: req, res: res, body: res.Body}
	}
	return res, err
}

// recorded checks an answer once it was read to its end.
type recorded struct {
	r    *recorder
	req  *http.Request
	res  *http.Response
	body io.ReadCloser
	seen bytes.Buffer
	done bool
}

func (b *recorded) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.seen.Write(p[:n])
	if errors.Is(err, io.EOF) && !b.done {
		b.count()
		if err := b.r.desc.answer(b.req.Method, b.req.URL.EscapedPath(), b.res.StatusCode, b.res.Header, b.seen.Bytes()); err != nil {
			b.r.t.Errorf("%s %s answered %d, which openapi.yaml describes otherwise: %v", b.req.Method, b.req.URL.Path, b.res.StatusCode, err)
		}
	}
	return n, err
}

// Close counts a stream, too, whose reader goes at the last event and not at its end.
func (b *recorded) Close() error {
	b.count()
	return b.body.Close()
}

func (b *recorded) count() {
	if b.done {
		return
	}
	b.done = true
	if op, ok := b.r.desc.operation(b.req.Method, b.req.URL.EscapedPath()); ok && b.r.seen != nil {
		b.r.seen(op["operationId"].(string), b.res.StatusCode)
	}
}

// answer checks one answer.
func (d *described) answer(method, path string, status int, h http.Header, body []byte) error {
	if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
		return fmt.Errorf("headers %v", h)
	}
	op, ok := d.operation(method, path)
	var response map[string]any
	switch {
	case !ok && (status == 404 || status == 405 || status == 403):
		response = d.root["components"].(map[string]any)["responses"].(map[string]any)["Error"].(map[string]any)
	case !ok:
		return errors.New("there is no such operation")
	default:
		response, ok = op["responses"].(map[string]any)[strconv.Itoa(status)].(map[string]any)
		if !ok {
			return errors.New("the status is not described")
		}
	}
	response = d.follow(response)
	headers, _ := response["headers"].(map[string]any)
	for name, header := range headers {
		schema := d.follow(header.(map[string]any))["schema"].(map[string]any)
		var v any = h.Get(name)
		if n, err := strconv.Atoi(h.Get(name)); err == nil {
			v = float64(n)
		}
		if err := d.check(schema, v); err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
	}
	if response["content"] == nil {
		if len(body) > 0 {
			return fmt.Errorf("there is a body: %.100q", body)
		}
		return nil
	}
	mediaType, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	content, ok := response["content"].(map[string]any)[mediaType].(map[string]any)
	if !ok {
		return fmt.Errorf("content type %q", h.Get("Content-Type"))
	}
	if method == "HEAD" || status == http.StatusPartialContent { // a part of JSON is none
		return nil
	}
	switch mediaType {
	case "application/json":
		return d.checkJSON(content["schema"].(map[string]any), body)
	case "text/event-stream":
		name := ""
		for line := range bytes.Lines(body) {
			if event, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
				name = string(bytes.TrimSpace(event))
			}
			if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok && name != "end" && name != "unanswered" {
				schema, ok := content["x-events"].(map[string]any)[name].(map[string]any)
				if !ok {
					return fmt.Errorf("the event %q is not described", name)
				}
				if err := d.checkJSON(schema, data); err != nil {
					return err
				}
			}
		}
	case "application/x-ndjson":
		for line := range bytes.Lines(body) {
			if err := d.checkJSON(content["x-line"].(map[string]any), line); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestDescriptionAndRoutesAreTheSame(t *testing.T) {
	d, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	var have, want []string
	for path, e := range routes {
		for method := range e {
			have = append(have, method+" "+path)
		}
	}
	for path, item := range d.root["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				want = append(want, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("routes       %q\nopenapi.yaml %q", have, want)
	}
}

func TestDescriptionIsSound(t *testing.T) {
	d, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	var walk func(at string, node any)
	walk = func(at string, node any) {
		switch n := node.(type) {
		case map[string]any:
			d.follow(n) // panics where there is nothing
			for _, name := range slices.Sorted(maps.Keys(n)) {
				walk(at+"/"+name, n[name])
			}
			required, _ := n["required"].([]any)
			properties, _ := n["properties"].(map[string]any)
			for _, name := range required {
				if properties != nil && properties[name.(string)] == nil {
					t.Errorf("%s requires %v and does not describe it", at, name)
				}
			}
		case []any:
			for _, item := range n {
				walk(at+"/-", item)
			}
		}
	}
	walk("", d.root)
}

// The validator must be able to fail.
func TestDescriptionRefusesOtherAnswers(t *testing.T) {
	d, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	good := http.Header{
		"X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"}, "Content-Type": {"application/json"},
	}
	id := "01980000-0000-7000-8000-000000000000"
	accepted := `{"id":"` + id + `","reference":"r","deliveries":1}`
	if err := d.answer("POST", "/v1/events", 202, good, []byte(accepted)); err != nil {
		t.Fatal(err)
	}
	without := func(name string) http.Header {
		h := good.Clone()
		h.Del(name)
		return h
	}
	for name, c := range map[string]struct {
		method, path string
		status       int
		header       http.Header
		body         string
	}{
		"missing member":     {"POST", "/v1/events", 202, good, `{"id":"` + id + `","reference":"r"}`},
		"one too many":       {"POST", "/v1/events", 202, good, strings.Replace(accepted, "{", `{"x":1,`, 1)},
		"wrong type":         {"POST", "/v1/events", 202, good, strings.Replace(accepted, "1}", `"1"}`, 1)},
		"no integer":         {"POST", "/v1/events", 202, good, strings.Replace(accepted, "1}", `1.5}`, 1)},
		"wrong pattern":      {"POST", "/v1/events", 202, good, strings.Replace(accepted, "-7000-", "-4000-", 1)},
		"wrong const":        {"GET", "/healthz", 200, good, `{"status":"sick"}`},
		"wrong enum":         {"POST", "/v1/deliveries/x/retry", 200, good, `{"id":"` + id + `_1","from":"lost","to":"dead"}`},
		"wrong time":         {"GET", "/v1/events", 200, good, `{"items":[{"id":"` + id + `","developer":"a","type":"t","reference":"r","accepted":"yesterday","ordering":"2026-01-01T00:00:00Z","size":1,"destinations":[],"deliveries":[]}],"next":""}`},
		"null list":          {"GET", "/v1/events", 200, good, `{"items":null,"next":""}`},
		"unknown status":     {"POST", "/v1/events", 201, good, accepted},
		"unknown path":       {"POST", "/v1/other", 200, good, accepted},
		"unknown method":     {"PUT", "/v1/events", 202, good, accepted},
		"no JSON":            {"POST", "/v1/events", 202, good, `<html>`},
		"no content type":    {"POST", "/v1/events", 202, without("Content-Type"), accepted},
		"may be sniffed":     {"POST", "/v1/events", 202, without("X-Content-Type-Options"), accepted},
		"no Retry-After":     {"POST", "/v1/events", 503, good, `{"error":{"code":"busy","message":"m"}}`},
		"no authenticate":    {"POST", "/v1/events", 401, good, `{"error":{"code":"unauthorized","message":"m"}}`},
		"empty error":        {"POST", "/v1/events", 400, good, `{"error":{"code":"","message":""}}`},
		"second line of two": {"POST", "/v1/events/batch", 200, http.Header{"X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"}, "Content-Type": {"application/x-ndjson"}}, "{\"line\":1,\"status\":202}\n{\"line\":2}\n"},
	} {
		if err := d.answer(c.method, c.path, c.status, c.header, []byte(c.body)); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
}
