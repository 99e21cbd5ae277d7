package supabase

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// incomplete says that a table, a column or a key is missing, or that PostgREST
// does not know of it yet.
type incomplete struct{ text, sql string }

func (i *incomplete) Error() string { return i.text }

// hold holds the destination with the SQL to run: for all that was found, if
// anything was.
func (i *incomplete) hold(role string, found *lacks) error {
	if found == nil || len(found.sql) == 0 {
		return held(i.text, i.sql)
	}
	return found.hold(role, i.text)
}

// after is what to say when to complete it failed.
func (i *incomplete) after(role string, found *lacks, err error) error {
	if class, _ := destination.ClassOf(err); class != destination.Misconfigured {
		return err
	}
	text := i.text + ". To complete it failed, too: " + err.Error()
	if found != nil && len(found.sql) > 0 {
		if err := found.fitting(role, text); err != nil {
			return err
		}
	}
	return held(text, i.sql)
}

// settling is how long PostgREST is believed to be loading what changed.
const settling = 30 * time.Second

// completion completes the tables when one turns out to lack something.
type completion struct {
	run   func(context.Context) error // nil: nobody may
	probe func(context.Context) error // sees whether run could; nil: it cannot be told
	turn  chan struct{}               // held by who runs

	mu   sync.Mutex
	made map[string]made // by table, since the last success there
}

type made struct {
	at    time.Time
	times int
}

func newCompletion(run, probe func(context.Context) error) *completion {
	return &completion{run: run, probe: probe, turn: make(chan struct{}, 1), made: map[string]made{}}
}

// tried says what would keep run from its work, nil if nothing is known of.
func (c *completion) tried(ctx context.Context) error {
	if c.probe == nil {
		return nil
	}
	return c.probe(ctx)
}

// succeeded forgets what was made: the next time something is missing, it was
// taken away.
func (c *completion) succeeded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.made)
}

func (c *completion) of(table string) made {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made[table]
}

// completed makes what err says is missing, and returns what that makes of the
// attempt. Others who come for the same wait, and find that it is done.
func (s *supabase) completed(ctx context.Context, t table, err error) error {
	missing, ok := errors.AsType[*incomplete](err)
	c := s.completer
	switch {
	case !ok:
		return err
	case c.run == nil:
		return s.held(ctx, t, missing, nil)
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return fmt.Errorf("complete the tables: %w", context.Cause(ctx))
	}
	last := c.of(t.name)
	if time.Since(last.at) >= settling {
		if err := c.run(ctx); err != nil {
			return s.held(ctx, t, missing, err)
		}
		last = made{time.Now(), last.times + 1}
		c.mu.Lock()
		c.made[t.name] = last
		c.mu.Unlock()
	}
	if last.times > 1 {
		// It is there, as far as we can tell, and PostgREST does not see it.
		return s.held(ctx, t, missing, nil)
	}
	return &fault.Safe{Text: missing.text + ". It was made just now: PostgREST has to notice, which takes some seconds"}
}

// held holds the destination with the SQL for whatever its tables lack, after err
// if to complete them failed.
func (s *supabase) held(ctx context.Context, t table, missing *incomplete, err error) error {
	found, lookErr := s.look(ctx, false, t, "")
	if lookErr != nil {
		found = nil
	}
	if err != nil {
		return missing.after(s.role, found, err)
	}
	return missing.hold(s.role, found)
}

// completion completes the tables by the way that is configured, if one is.
func (s *supabase) completion(c Complete, deps destination.Deps) (*completion, error) {
	script := s.tables.script()
	post := func(at service, path string, body any, advice string) *completion {
		return newCompletion(func(ctx context.Context) error {
			text, _ := json.Marshal(body) // texts always encode
			what := "complete the tables"
			a, err := at.call(ctx, request{method: http.MethodPost, path: path, body: text, what: what,
				header: map[string]string{"Content-Type": "application/json", "Content-Profile": s.tables.schema}})
			if err != nil {
				return err
			}
			return s.completionFault(what, a, advice)
		}, nil)
	}
	query := map[string]string{"query": script}
	switch {
	case !c.DSN.IsZero():
		target, err := readDSN(c.DSN, c.CA)
		if err != nil {
			return nil, err
		}
		by := func(sql string) func(context.Context) error {
			return func(ctx context.Context) error { return target.run(ctx, deps.Dial, sql) }
		}
		return newCompletion(by(script), by("")), nil
	case c.PGQuery:
		return post(s.service, "/pg/query", query, "complete.pg_query is for self-hosted projects whose gateway has /pg"), nil
	case c.RPC:
		return post(s.service, "/rest/v1/rpc/"+s.tables.function(), struct{}{}, "install the function once: run function.sql of the documentation of this kind"), nil
	case !c.AccessToken.IsZero():
		u, err := parseURL(c.API, s.service.base.Scheme == "http")
		if err != nil {
			return nil, fmt.Errorf("complete.api: %w", err)
		}
		api := service{name: "the Management API", base: u, transport: deps.HTTP.Transport, scrub: secret.NewScrubber(c.AccessToken.Reveal()),
			header: http.Header{"Authorization": {"Bearer " + c.AccessToken.Reveal()}, "User-Agent": {deps.UserAgent}}}
		s.service.scrub = s.service.scrub.With(c.AccessToken.Reveal())
		return post(api, "/v1/projects/"+c.reference(s.service.base)+"/database/query", query, "see complete.access_token and complete.project"), nil
	}
	return newCompletion(nil, nil), nil
}

// completionFault is what became of the SQL: every service passes on what the
// database said of it.
func (s *supabase) completionFault(what string, a answer, advice string) error {
	if a.status >= 200 && a.status <= 299 {
		return nil
	}
	r := refusalOf(a.body)
	m, _ := byStatus(a.status)
	if a.status == http.StatusBadRequest {
		m.class = destination.Misconfigured // the database refuses, and will again
	}
	if len(r.code) == 5 {
		m.class = sqlClass(r.code)
	}
	if m.class == destination.Misconfigured {
		m.advice = advice
	}
	m.does = nothing
	return s.word(what, a.status, a, r, m, table{})
}

// sqlClass is what the refusal of a change of tables means: but for those of the
// server and of others in the way, it will be refused again.
func sqlClass(code string) destination.Class {
	switch code[:min(2, len(code))] {
	case "08", "25", "40", "53", "55", "57", "58", "XX":
		return destination.Transient
	}
	return destination.Misconfigured
}
