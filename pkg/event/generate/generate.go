// Package generate makes realistic events of every type that is known, from a
// seed: fresh ids, times up to now, varied values. It is built on the bodies of
// package samples.
package generate

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event/samples"
)

// Generator makes events. The same seed and the same requests make the same
// events. It is not safe for concurrent use.
type Generator struct {
	rng   *rand.Rand
	bases map[string]*node // by type
}

// Request says what to make; zero fields leave the choice to the Generator.
type Request struct {
	Type     string    // required
	Provider string    // such as GARMIN; "": that of the sample
	User     string    // user_id; "": a fresh one
	At       time.Time // what the event tells of lies before; zero: times stay those of the sample
}

// UnknownTypeError says that nothing can be made up of a type.
type UnknownTypeError struct {
	Type  string
	Known []string
}

func (e *UnknownTypeError) Error() string {
	return fmt.Sprintf("no event of type %.100q can be made up: known are %s", e.Type, strings.Join(e.Known, ", "))
}

// others are types that have no sample.
var others = []string{
	`{"type":"user_reauth","status":"warning","message":"User reauthenticated","old_user":{"user_id":"5f3a9c8e-2b14-4d6f-8a51-7c0d9e6b4f12","provider":"GARMIN","last_webhook_update":"2026-07-01T09:12:33.891000+00:00","scopes":"ACTIVITY_EXPORT,HEALTH_EXPORT","reference_id":"your-user-123","active":false},"new_user":{"user_id":"40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad","provider":"GARMIN","last_webhook_update":null,"scopes":"ACTIVITY_EXPORT,HEALTH_EXPORT","reference_id":"your-user-123","active":true}}`,
	`{"type":"lab_report.failed","event_id":"evt_7d1e4b2a-6c3f-4e8d-9a10-2b5c8f7e3d61","occurred_at":"2026-07-01T09:12:33Z","upload_id":"upl_2b5c8f7e3d61","data":{"session_id":"297405620317847552","reference_id":"your-patient-123","error":"the document holds no results"}}`,
	`{"type":"google_no_datasource","status":"warning","message":"User has no data source in Google Fit","user":{"user_id":"40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad","provider":"GOOGLE","last_webhook_update":null,"scopes":null,"reference_id":"your-user-123","active":true}}`,
	`{"type":"processing","message":"The request is being processed","reference":"d3f1a9c2-6b1e-4f0a-8f21-9e5b2c7a4d10","user":{"user_id":"40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad","provider":"GARMIN","last_webhook_update":"2026-07-01T09:12:33.891000+00:00","scopes":"ACTIVITY_EXPORT,HEALTH_EXPORT","reference_id":"your-user-123","active":true}}`,
}

// New makes a Generator.
func New(seed uint64) (*Generator, error) {
	g := &Generator{rng: rand.New(rand.NewPCG(seed, 0)), bases: map[string]*node{}}
	bodies := make([][]byte, 0, 32)
	for _, name := range samples.Names() {
		body, err := samples.Read(name)
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	for _, text := range others {
		bodies = append(bodies, []byte(text))
	}
	for _, body := range bodies {
		n, err := parse(body)
		if err != nil {
			return nil, fmt.Errorf("read a sample: %w", err)
		}
		// The first sample of a type is the plain one: its name is the type.
		if typ := n.text("type"); g.bases[typ] == nil {
			g.bases[typ] = n
		}
	}
	return g, nil
}

// Types lists what can be made, in alphabetical order.
func (g *Generator) Types() []string { return slices.Sorted(maps.Keys(g.bases)) }

// Event makes one event, as compact JSON. An unknown type is an *UnknownTypeError.
func (g *Generator) Event(r Request) ([]byte, error) {
	base := g.bases[r.Type]
	if base == nil {
		return nil, &UnknownTypeError{r.Type, g.Types()}
	}
	if r.User == "" {
		r.User = g.uuid()
	}
	v := variation{
		rng: g.rng, request: r, fresh: map[string]string{},
		factor: 0.9 + 0.1*g.rng.Float64(),
		shift:  shiftOf(base, r.At, g.rng),
	}
	v.walk(nil, base)
	return v.out, nil
}

// User returns a user_id for the n-th of many users.
func (g *Generator) User(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }

func (g *Generator) uuid() string { return uuidOf(g.rng) }

// uuidOf is a UUID of version 4.
func uuidOf(rng *rand.Rand) string {
	a, b := rng.Uint64(), rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

// node is a JSON value that knows the order of its members.
type node struct {
	members []member // of an object
	items   []*node  // of an array
	kind    byte     // '{', '[' or 0: a scalar
	scalar  any      // string, json.Number, bool or nil
}

type member struct {
	name  string
	value *node
}

func parse(body []byte) (*node, error) {
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	return parseValue(d)
}

func parseValue(d *json.Decoder) (*node, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return &node{scalar: t}, nil
	}
	n := &node{kind: byte(delim)}
	for d.More() {
		var name string
		if n.kind == '{' {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, _ = key.(string)
		}
		v, err := parseValue(d)
		if err != nil {
			return nil, err
		}
		if n.kind == '{' {
			n.members = append(n.members, member{name, v})
		} else {
			n.items = append(n.items, v)
		}
	}
	_, err = d.Token() // the end
	return n, err
}

// text returns a member that is a string.
func (n *node) text(name string) string {
	for _, m := range n.members {
		if m.name == name {
			s, _ := m.value.scalar.(string)
			return s
		}
	}
	return ""
}
