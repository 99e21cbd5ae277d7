package api

import (
	"net/http"

	"github.com/seed-51f8da91/fantail/internal/ingest"
)

// headers are the names of what stands beside an event's body, in canonical form.
type headers struct {
	developer, reference, ordering, idempotency string
}

func newHeaders(brand string) headers {
	return headers{
		developer:   "Dev-Id",
		reference:   http.CanonicalHeaderKey(brand + "-reference"),
		ordering:    http.CanonicalHeaderKey(brand + "-ordering-timestamp"),
		idempotency: "Idempotency-Key",
	}
}

// request reads the headers of one event.
func (h *headers) request(r *http.Request, who *principal) (req ingest.Request, err error) {
	var ordering string
	for _, f := range [...]struct {
		name string
		into *string
	}{
		{h.developer, &req.Developer}, {h.reference, &req.Reference}, {h.ordering, &ordering}, {h.idempotency, &req.IdempotencyKey},
	} {
		switch values := r.Header[f.name]; {
		case len(values) > 1:
			return req, refuse(400, "invalid_header", "the header "+f.name+" stands twice")
		case len(values) == 1 && values[0] == "" && f.name == h.idempotency:
			// If it counted as none, events would double although the producer asked that they
			// do not.
			return req, refuse(400, "invalid_idempotency_key", "the idempotency key is empty")
		case len(values) == 1:
			*f.into = values[0]
		}
	}
	if req.Developer == "" {
		return req, refuse(400, "missing_developer", "the header dev-id must name the developer")
	}
	if !who.sees(req.Developer) {
		return req, notYours(who)
	}
	if _, given := r.Header[h.ordering]; given {
		if req.Ordering, err = ingest.OrderingTime(ordering); err != nil {
			return req, err
		}
	}
	return req, nil
}

// none refuses the headers of one event where they would not count: with several
// events, and with one that is made up.
func (h *headers) none(r *http.Request) error {
	for _, name := range [...]string{h.reference, h.ordering, h.idempotency} {
		if _, given := r.Header[name]; given {
			return refuse(400, "invalid_header", "the header "+name+" goes with POST /v1/events alone")
		}
	}
	return nil
}

// notYours is the same whether the developer exists or not.
func notYours(who *principal) *ingest.Refusal {
	return refuse(403, "forbidden_developer", who.String()+" may not act for this developer")
}
