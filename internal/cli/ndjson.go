package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLine is the longest line that send keeps in memory. Hardly any daemon accepts as much.
const maxLine = 128 << 20

// lines hands in one event for each line of a file.
func (s *sender) lines(ctx context.Context, name string, out *batch) error {
	in := s.env.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			s.result(outcome{Source: name, Error: &problem{"unreadable_file", err.Error()}})
			return nil
		}
		defer f.Close()
		in = f
	}
	r := bufio.NewReaderSize(in, 64<<10)
	for number := 1; ; number++ {
		line, err := readLine(r, maxLine)
		s.read += int64(len(line)) + 1
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errLongLine):
			s.result(outcome{Source: name, Line: number, Error: &problem{"too_large", err.Error()}})
			continue
		case err != nil:
			return fmt.Errorf("read %s: %w", name, err)
		}
		if line = bytes.Trim(line, " \t\r"); len(line) == 0 {
			continue
		}
		prepared, err := s.prepare(line)
		if err != nil {
			s.result(outcome{Source: name, Line: number, Error: &problem{"incomplete_line", err.Error()}})
			continue
		}
		if err := out.add(ctx, entry{source: name, line: number, text: prepared}); err != nil {
			return err
		}
	}
}

var errLongLine = fmt.Errorf("the line is longer than %s", size(maxLine))

// readLine returns the next line without its end. It skips a line that is too long and returns
// errLongLine. At the end it returns io.EOF.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if !long {
			line = append(line, part...)
		}
		if len(line) > most {
			line, long = nil, true
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(line) == 0 && !long):
			return nil, err
		case long:
			return nil, errLongLine
		}
		return bytes.TrimSuffix(line, []byte("\n")), nil
	}
}

// prepare completes a line with what the flags say. The bytes of the event, and of members that the
// line has itself, stay as they are. A line that is no JSON object goes out unchanged, and the
// daemon says what is wrong with it.
func (s *sender) prepare(line []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(line, &fields) != nil || fields == nil {
		return line, nil
	}
	developer, _ := json.Marshal(s.flags.developer) // a string always marshals
	if !enveloped(fields) {
		if s.flags.developer == "" {
			return nil, errors.New("the line has no \"event\": when it is a bare event, say whose it is with --developer")
		}
		return fmt.Appendf(nil, `{"dev_id":%s,"idempotency_key":%q,"event":%s}`, developer, s.key(line), line), nil
	}
	head := []byte("{")
	if _, known := fields["dev_id"]; !known && s.flags.developer != "" {
		head = fmt.Appendf(head, `"dev_id":%s,`, developer)
	}
	if _, known := fields["idempotency_key"]; !known {
		head = fmt.Appendf(head, `"idempotency_key":%q,`, s.key(line))
	}
	return append(head, line[1:]...), nil
}

// enveloped tells a line as the API takes it from a bare event. A bare event may have members of the
// same names, but it always has a type.
func enveloped(fields map[string]json.RawMessage) bool {
	_, event := fields["event"]
	_, body := fields["body"]
	_, typ := fields["type"]
	return event || body && !typ
}
