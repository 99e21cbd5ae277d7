package sqltables

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Explain shows the rows that Send would write, one a line, without links: a
// real one would let whoever reads it read the payload.
func Explain(e *event.Event, c *event.Catalogue, t Tables) (destination.Explanation, error) {
	f, err := frameOf(e, c)
	if err != nil {
		return destination.Explanation{}, err
	}
	var x destination.Explanation
	var body bytes.Buffer
	line := func(t Table, values []*string) {
		row := make(map[string]*string, len(values))
		for i, v := range values {
			row[t.Columns[i].Name] = v
		}
		text, _ := json.Marshal(row) // texts always encode
		body.WriteString(t.Name + " " + string(text) + "\n")
	}
	for _, u := range mergeUsers(f.users) {
		line(t.Users, u.Values())
	}
	var ids []string
	for p := range c.Payloads(e) {
		row := f.payload(p, "(a link to payload "+p.ID+")")
		if f.data {
			line(t.Data, row.DataValues())
		} else {
			line(t.Other, row.OtherValues())
		}
		if ids = append(ids, p.ID); len(ids) == MaxExplained {
			body.WriteString("...\n")
			break
		}
	}
	x.Key, x.Body = strings.Join(ids, " "), body.String()
	return x, nil
}

// MaxExplained is how many rows of payloads of one event are shown.
const MaxExplained = 100
