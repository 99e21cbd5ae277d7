package webhook

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
)

// field is one header field. Names stand on the wire as they are written here
// and in the settings: receivers behind some gateways look them up by case.
type field struct {
	name, value string
	secret      bool // nobody may see its value
}

// head is what the heads of all attempts have in common.
type head struct {
	fields []field // the same in every attempt
	start  []byte  // the request line and fields as they are sent
	trace  []field // of the settings; they give way to those of a delivery

	reference, traceID, ordering string // names, by brand
}

func newHead(c Config, u *url.URL, deps destination.Deps) head {
	h := head{
		fields:    []field{{name: "Host", value: u.Host}},
		reference: deps.Brand + "-reference", traceID: "x-" + deps.Brand + "-trace-id", ordering: "x-" + deps.Brand + "-ordering-timestamp",
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		f := field{name, c.Headers[name].Reveal(), true}
		switch http.CanonicalHeaderKey(name) {
		case "Traceparent", "Tracestate":
			h.trace = append(h.trace, f)
		default:
			h.fields = append(h.fields, f)
		}
	}
	if c.Auth.used() {
		h.fields = append(h.fields, field{"Authorization", c.Auth.header(), true})
	}
	h.fields = append(h.fields,
		field{name: "Content-Type", value: "application/json"},
		field{name: "User-Agent", value: deps.UserAgent},
		field{name: "hook-type", value: "WEBHOOK"},
	)
	h.start = appendFields([]byte("POST "+u.RequestURI()+" HTTP/1.1\r\n"), h.fields)
	return h
}

// varying returns the fields of an attempt at the time at that differ from
// those of other deliveries and attempts.
func (w *webhook) varying(d destination.Delivery, at time.Time) []field {
	all := make([]field, 0, 10)
	all = append(all,
		field{name: w.head.reference, value: d.Event.Reference},
		field{name: w.head.traceID, value: d.ID},
		field{name: w.head.ordering, value: strconv.FormatInt(d.Event.Ordering.UnixMilli(), 10)},
		field{name: "dev-id", value: d.Event.Developer},
	)
	if t := d.Trace; t == nil {
		all = append(all, w.head.trace...)
	} else {
		all = append(all, field{name: "traceparent", value: t.Parent})
		if t.State != "" {
			all = append(all, field{name: "tracestate", value: t.State})
		}
	}
	return w.signer.sign(all, d.ID, at, d.Event.Body)
}

// append appends the request line and every field to b.
func (h *head) append(b []byte, varying []field) []byte {
	return appendFields(append(b, h.start...), varying)
}

// with returns all fields in the order in which they are sent.
func (h *head) with(varying []field) []field { return slices.Concat(h.fields, varying) }

func appendFields(b []byte, fields []field) []byte {
	for _, f := range fields {
		b = exchange.Fields(b, f.name, f.value)
	}
	return b
}
