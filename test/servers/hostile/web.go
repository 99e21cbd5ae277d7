package hostile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Web returns servers of HTTP whose answers swell: a parser makes many times their size of them.
func Web() map[string]Script {
	const size = 4 << 20
	fill := func(head, item, tail string) []byte {
		return []byte(head + strings.Repeat(item, size/len(item)) + tail)
	}
	xml := fill(`<?xml version="1.0"?><Error><Code>`, "<a>", "")
	flat := fill(`<Error><Code>x</Code>`, "<a/>", "</Error>")
	objects := fill("[", "{},", "{}]")
	nested := fill("", "[", "")
	errors := fill(`{"error":{"message":"x","errors":[`, `{},`, `{}]}}`)
	all := map[string]Script{}
	for name, answer := range map[string]struct {
		status int
		kind   string
		body   []byte
	}{
		"nested XML as an error":            {500, "application/xml", xml},
		"flat XML as an error":              {503, "application/xml", flat},
		"objects as an error":               {500, "application/json", objects},
		"objects as rows":                   {200, "application/json", objects},
		"nested lists as rows":              {201, "application/json", nested},
		"an error of many":                  {503, "application/json", errors},
		"an error of many, for JSON of AWS": {500, "application/x-amz-json-1.0", errors},
	} {
		all[name] = answering(answer.status, answer.kind, answer.body)
	}
	return all
}

func answering(status int, kind string, body []byte) Script {
	head := fmt.Appendf(nil, "HTTP/1.1 %d x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", status, kind, len(body))
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			if _, err := io.Copy(c, io.MultiReader(bytes.NewReader(head), bytes.NewReader(body))); err != nil {
				return
			}
		}
	}
}
