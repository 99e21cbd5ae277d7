package api

import (
	"strconv"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// postEvent accepts one event.
func (a *API) postEvent(c *call) error {
	span, trace := a.Trace.Accept(tracing.Read(c.r.Header))
	result, err := a.acceptOne(c, trace)
	if err != nil {
		a.counts.turnedAway(err)
		r := refusal(err)
		span.End(r.Status, r.Code)
		return err
	}
	a.counts.taken(result.Duplicate)
	status := 202
	if result.Duplicate {
		status = 200
	}
	span.One(c.r.Header.Get(a.header.developer), result.ID, result.Deliveries, result.Duplicate)
	span.End(status, "")
	b := append(make([]byte, 0, 256), '{')
	b = appendResult(b, &result)
	c.send(status, asJSON, append(b, "}\n"...))
	return nil
}

func (a *API) acceptOne(c *call, trace *event.Trace) (result ingest.Result, err error) {
	req, err := a.header.request(c.r, c.who)
	if err != nil {
		return result, err
	}
	if err := checkEncoding(c.r); err != nil {
		return result, err
	}
	if err := a.Ingest.Ready(); err != nil {
		return result, err
	}
	if err := a.Pace.Wait(c.r.Context(), 1); err != nil {
		return result, err
	}
	held := a.memory.hold(c.who, req.Developer)
	defer held.release()
	body, err := a.readBody(c, &held)
	if err != nil {
		return result, err
	}
	req.Body, req.Trace = body, trace
	result = a.Ingest.Accept(c.r.Context(), []ingest.Request{req})[0]
	a.Pace.Took(1, result.Deliveries)
	return result, result.Err
}

// appendResult appends the members of an answer. A reference is visible ASCII:
// no more than quotes and backslashes need care.
func appendResult(b []byte, r *ingest.Result) []byte {
	b = append(b, `"id":"`...)
	b, _ = r.ID.AppendText(b) // an id always has a text
	b = append(b, `","reference":"`...)
	for i := range len(r.Reference) {
		if r.Reference[i] == '"' || r.Reference[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, r.Reference[i])
	}
	b = append(b, `","deliveries":`...)
	b = strconv.AppendInt(b, int64(r.Deliveries), 10)
	if r.Duplicate {
		b = append(b, `,"duplicate":true`...)
	}
	return b
}
