package api

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// route is one call of the API as routes has it and as openapi.yaml describes it.
type route struct {
	method, path string // filled in
	op           operation
	desc         map[string]any
	query        map[string]map[string]any // schemas of the parameters, by name
}

// everyRoute is made of routes, so that a new one is covered by standing there.
func everyRoute(d *described) (all []route) {
	fill := strings.NewReplacer("{id}", "1", "{developer}", "acme", "{destination}", "app", "{day}", "2026-07-01", "{object}", "x.json", "{version}", "1")
	for pattern, e := range routes {
		item := d.root["paths"].(map[string]any)[pattern].(map[string]any)
		for method, op := range e {
			r := route{method, fill.Replace(pattern), op, item[strings.ToLower(method)].(map[string]any), map[string]map[string]any{}}
			parameters, _ := r.desc["parameters"].([]any)
			for _, p := range parameters {
				if p := d.follow(p.(map[string]any)); p["in"] == "query" {
					r.query[p["name"].(string)] = d.follow(p["schema"].(map[string]any))
				}
			}
			all = append(all, r)
		}
	}
	return all
}

// body returns the media type and the schema of the route's body; "" when it has none.
func (r *route) body(d *described) (string, map[string]any) {
	body, _ := r.desc["requestBody"].(map[string]any)
	if body == nil {
		return "", nil
	}
	for media, content := range body["content"].(map[string]any) {
		return media, d.follow(content.(map[string]any)["schema"].(map[string]any))
	}
	return "", nil
}

// strict makes the requests of one route that must be refused.
type strict struct {
	*rig
	d     *described
	route route
}

// refused makes a request and wants 400, with a text that has says.
func (s *strict) refused(query, body, says string) {
	s.t.Helper()
	if query != "" {
		query = "?" + query
	}
	a := s.do(s.route.method, s.route.path+query, body, "dev-id: acme", bearer("all"))
	if a.status != 400 || !strings.Contains(string(a.body), says) {
		s.t.Errorf("%s %s%s %.60q: %s, want 400 and %q", s.route.method, s.route.path, query, body, a, says)
	}
}

// Whatever a caller gives counts, or is refused: what is passed over in silence
// makes a filter with a typing error select everything.
func TestEveryRouteIsStrict(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate configure link")}})
	r.checks.result = found
	d, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	small := 0
	for _, route := range everyRoute(d) {
		s := &strict{r, d, route}
		s.queries()
		switch media, schema := route.body(d); {
		case route.method == "PUT":
			s.refused("", "", "is empty")
		case route.method != "POST":
			if route.op.may != anyone {
				s.refused("", "{}", "takes no body")
			}
		case media == "application/x-ndjson":
			s.refused("", "", "no lines")
			s.refused("", "\n \r\n", "no lines")
		case schema["additionalProperties"] == true:
			for _, body := range []string{"null", "[]", "{}", `{"type":null}`, `{"type":""}`, `{"type":"a"}{}`, `{"type":"a","type":"a"}`} {
				s.refused("", body, "error")
			}
		default:
			small++
			s.bodies(schema)
		}
	}
	if small < 10 {
		t.Errorf("%d small bodies were looked at", small)
	}
	if r.stored() != 0 {
		t.Errorf("%d events were accepted", r.stored())
	}
}

// queries asks with parameters that are unknown, empty, there twice, or of another type.
func (s *strict) queries() {
	if slices.Equal(s.route.op.query, anyQuery) {
		if a := s.do(s.route.method, s.route.path+"?from=balancer", ""); a.status != 200 && a.status != 404 {
			s.t.Errorf("%s with a query: %s", s.route.path, a)
		}
		return
	}
	var described params
	for name, schema := range s.route.query {
		s.refused(name+"=", "", `\"`+name+`\" is empty`)
		s.refused(name, "", "is empty")
		if schema["type"] == "array" {
			described = append(described, name+"*")
			s.refused(name+"=x&"+name+"=", "", "is empty")
			schema = s.d.follow(schema["items"].(map[string]any))
		} else {
			described = append(described, name)
			s.refused(name+"=1&"+name+"=1", "", "stands twice")
		}
		for _, v := range unfit(schema) {
			s.refused(name+"="+v, "", name)
		}
	}
	s.refused("no_such_parameter=1", "", "unknown parameter")
	s.refused("%zz", "", "cannot be read")
	have := slices.Sorted(slices.Values(s.route.op.query))
	if want := slices.Sorted(slices.Values(described)); !slices.Equal(have, want) {
		s.t.Errorf("%s %s takes %q, openapi.yaml has %q", s.route.method, s.route.path, have, want)
	}
}

// unfit are texts that a schema does not allow.
func unfit(schema map[string]any) (all []string) {
	switch {
	case schema["type"] == "boolean":
		all = append(all, "maybe")
	case schema["type"] == "integer", schema["type"] == "number":
		all = append(all, "x")
		for _, bound := range []struct {
			name   string
			beyond int
		}{{"minimum", -1}, {"maximum", 1}, {"exclusiveMinimum", 0}} {
			if n, ok := schema[bound.name].(int); ok {
				all = append(all, strconv.Itoa(n+bound.beyond))
			}
		}
	case schema["enum"] != nil, schema["pattern"] != nil, schema["format"] != nil:
		all = append(all, "no_such")
	}
	if n, ok := schema["maxLength"].(int); ok {
		all = append(all, strings.Repeat("x", n+1))
	}
	return all
}

// bodies asks with bodies that are no object, and with members that are unknown, void,
// there twice, or of another type.
func (s *strict) bodies(schema map[string]any) {
	for _, body := range []string{"null", "[]", "1", `"x"`, "{", "{}{}", "{} null", "{},", " ", "\ufeff{}", `{"no_such_member":1}`} {
		s.refused("", body, "not the JSON object that is wanted")
	}
	if a := s.do(s.route.method, s.route.path, strings.Repeat(" ", 65<<10), bearer("all")); a.status != 413 {
		s.t.Errorf("%s of 65 KiB: %s", s.route.path, a)
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		property := s.d.follow(property.(map[string]any))
		member := func(name, value string) string { return fmt.Sprintf(`%q:%s`, name, value) }
		good := map[any]string{"string": `"x"`, "integer": "1", "number": "1", "boolean": "true", "array": `["x"]`}
		for _, value := range good {
			if value != good[property["type"]] {
				s.refused("", "{"+member(name, value)+"}", name)
			}
		}
		value, ofNumbers := good[property["type"]], false
		if items, ok := property["items"].(map[string]any); ok && items["type"] == "integer" {
			value, ofNumbers = "[1]", true
		}
		s.refused("", "{"+member(name, "{}")+"}", name)
		s.refused("", "{"+member(name, value)+","+member(name, value)+"}", "twice")
		s.refused("", "{"+member(strings.ToUpper(name), value)+"}", "unknown field")
		void := []string{"null"}
		switch property["type"] {
		case "string":
			void = append(void, `""`)
			s.refused("", "{"+member(name, "\"\xff\"")+"}", "UTF-8")
		case "array":
			void = append(void, "[]", "[null]")
			if !ofNumbers {
				void = append(void, `[""]`, `["x",""]`)
			}
			property = s.d.follow(property["items"].(map[string]any))
		}
		for _, v := range void {
			s.refused("", "{"+member(name, v)+"}", "null or empty")
		}
		// What is wrong with the member alone shows when nothing else is.
		rest := ""
		if properties["all"] != nil && name != "all" {
			rest = `,"all":true`
		}
		for _, v := range unfit(property) {
			if _, err := strconv.Atoi(v); err != nil {
				v = strconv.Quote(v)
			}
			if ofNumbers || good[property["type"]] != value {
				v = "[" + v + "]"
			}
			s.refused("", "{"+member(name, v)+rest+"}", strings.TrimSuffix(strings.TrimSuffix(name, "s"), "e"))
		}
	}
}

// Members may have values that are alike, and like their names.
func TestValuesMayRepeat(t *testing.T) {
	r := newRig(t, setup{})
	if a := r.do("POST", "/v1/replays", `{"all":true,"states":["dead","dead"],"types":["all","rate","rate"],"dry_run":true}`); a.status != 201 {
		t.Errorf("got %s", a)
	}
}

// The headers of one event would not count with several, nor with one that is made up.
func TestHeadersOfOneEventGoWithNoOtherCall(t *testing.T) {
	r := newRig(t, setup{})
	for _, header := range []string{"Idempotency-Key: k", "Idempotency-Key: ", "terra-reference: r", "terra-ordering-timestamp: 1780000000123"} {
		for path, body := range map[string]string{"/v1/events/batch": line(sleep), "/v1/destinations/acme/app/test": ""} {
			if a := r.do("POST", path, body, header); a.status != 400 || a.code() != "invalid_header" {
				t.Errorf("%s with %s: %s", path, header, a)
			}
		}
	}
	if n := r.stored(); n != 0 {
		t.Errorf("%d events were accepted", n)
	}
}
