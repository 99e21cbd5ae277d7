package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// described is openapi.yaml. It knows the part of JSON Schema that the file
// uses, fails on anything else, and takes an object to have no members but
// those described.
type described struct{ root map[string]any }

func loadDescription() (*described, error) {
	var root map[string]any
	if err := yaml.Load(description, &root); err != nil {
		return nil, err
	}
	return &described{root}, nil
}

// follow resolves a $ref.
func (d *described) follow(node map[string]any) map[string]any {
	ref, ok := node["$ref"].(string)
	if !ok {
		return node
	}
	var at any = d.root
	for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		m, _ := at.(map[string]any)
		at = m[step]
	}
	found, ok := at.(map[string]any)
	if !ok {
		panic("openapi.yaml: nothing at " + ref)
	}
	return d.follow(found)
}

// operation finds what a method and a path are described as.
func (d *described) operation(method, path string) (map[string]any, bool) {
	if method == "HEAD" {
		method = "GET"
	}
	var found map[string]any
	for pattern, item := range d.root["paths"].(map[string]any) {
		want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
		match := len(want) == len(got)
		for i := 0; match && i < len(want); i++ {
			match = want[i] == got[i] || strings.HasPrefix(want[i], "{") && got[i] != ""
		}
		if !match {
			continue
		}
		op, _ := item.(map[string]any)[strings.ToLower(method)].(map[string]any)
		if !strings.Contains(pattern, "{") || found == nil {
			found = op
		}
		if !strings.Contains(pattern, "{") {
			break
		}
	}
	return found, found != nil
}

// check says what is wrong with v.
func (d *described) check(schema map[string]any, v any) error {
	schema = d.follow(schema)
	if err := checkType(schema["type"], v); err != nil {
		return err
	}
	for keyword, want := range schema {
		var err error
		switch keyword {
		case "type", "description", "required", "additionalProperties":
		case "properties":
			err = d.checkObject(schema, v)
		case "items":
			err = d.checkItems(want.(map[string]any), v)
		case "enum":
			if !slices.Contains(want.([]any), v) {
				err = fmt.Errorf("%v is none of %v", v, want)
			}
		case "const":
			if v != want {
				err = fmt.Errorf("%v is not %v", v, want)
			}
		default:
			err = checkValue(keyword, want, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkType(types, v any) error {
	if types == nil {
		return nil
	}
	list, ok := types.([]any)
	if !ok {
		list = []any{types}
	}
	is := "null"
	switch n := v.(type) {
	case map[string]any:
		is = "object"
	case []any:
		is = "array"
	case string:
		is = "string"
	case bool:
		is = "boolean"
	case float64:
		if is = "number"; n == math.Trunc(n) {
			is = "integer"
		}
	}
	if !slices.Contains(list, any(is)) && !(is == "integer" && slices.Contains(list, any("number"))) {
		return fmt.Errorf("%v is a %s, want %v", v, is, types)
	}
	return nil
}

func (d *described) checkObject(schema map[string]any, v any) error {
	object, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%v is no object", v)
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := object[name.(string)]; !ok {
			return fmt.Errorf("%v is missing in %v", name, object)
		}
	}
	properties := schema["properties"].(map[string]any)
	for name, member := range object {
		property, ok := properties[name].(map[string]any)
		if !ok {
			return fmt.Errorf("%s is not described", name)
		}
		if err := d.check(property, member); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (d *described) checkItems(schema map[string]any, v any) error {
	items, ok := v.([]any)
	if !ok {
		return fmt.Errorf("%v is no array", v)
	}
	for i, item := range items {
		if err := d.check(schema, item); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

func checkValue(keyword string, want, v any) error {
	text, _ := v.(string)
	ok := false
	switch keyword {
	case "pattern":
		ok = regexp.MustCompile(want.(string)).MatchString(text)
	case "format":
		_, err := time.Parse(time.RFC3339Nano, text)
		ok = want == "date-time" && err == nil && strings.HasSuffix(text, "Z")
		if want == "date" {
			_, err = time.Parse(time.DateOnly, text)
			ok = err == nil
		}
	case "minLength":
		ok = len(text) >= want.(int)
	case "maxLength":
		ok = len(text) <= want.(int)
	case "minimum":
		n, number := v.(float64)
		ok = number && n >= float64(want.(int))
	default:
		return fmt.Errorf("openapi.yaml uses %q, which this test does not know", keyword)
	}
	if !ok {
		return fmt.Errorf("%v against %s %v", v, keyword, want)
	}
	return nil
}

// checkJSON checks one JSON text.
func (d *described) checkJSON(schema map[string]any, text []byte) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return errors.Join(fmt.Errorf("not JSON: %.200q", text), err)
	}
	return d.check(schema, v)
}
