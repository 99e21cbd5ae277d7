package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// decode reads a small JSON object strictly into v; an empty body leaves v as it is.
// What is given must count: encoding/json passes over much of what [oversight] finds.
func (a *API) decode(c *call, v any) error {
	b, err := io.ReadAll(http.MaxBytesReader(c.ResponseWriter, a.arriving(c), 64<<10))
	if err != nil {
		return unread(c, err)
	}
	if len(b) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err = d.Decode(v); err == nil {
		_, more := d.Token()
		if errors.Is(more, io.EOF) {
			err = oversight(b)
		} else {
			err = errors.New("more after its end")
		}
	}
	if err != nil {
		return refuse(400, "invalid_request", "the body is not the JSON object that is wanted: "+err.Error())
	}
	return nil
}

// oversight finds what encoding/json passes over in the JSON b, whose members hold
// texts, numbers, booleans, and lists of texts. A null or an empty value would count as
// left out: a filter of a script whose variable is empty would select everything. Of a
// member that stands twice the last one would count. A name in capitals would be taken
// for ours. Bytes that are not UTF-8 would be replaced.
func oversight(b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return errors.New("it is null")
	}
	for seen := map[string]bool{}; d.More(); {
		token, err := d.Token()
		if err != nil {
			return err
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return err
		}
		name, _ := token.(string)
		switch {
		case strings.ContainsFunc(name, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }):
			return fmt.Errorf("unknown field %q: names have small letters", name)
		case seen[name]:
			return fmt.Errorf("it has %q twice", name)
		case void(value):
			return fmt.Errorf("%q is null or empty, or a list with such an item: leave it out, or give it a value", name)
		}
		seen[name] = true
	}
	return nil
}

// void tells whether a value says nothing.
func void(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		for _, item := range v {
			if void(item) {
				return true
			}
		}
		return len(v) == 0
	}
	return false
}
