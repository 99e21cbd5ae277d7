package supabase

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// tables is what PostgREST knows of the database: columns by the schema and name of their table, and
// functions, which have no columns.
type tables map[string][]known

// known is a column as PostgREST knows it.
type known struct {
	name, nominal string // with its length, as SQL writes it
	kind          string // without
	length        int    // 0: none
	notNull, key  bool
	preset        string // its default; "": none that it sees
	choices       []string
}

func (t tables) column(table, name string) (known, bool) {
	i := slices.IndexFunc(t[table], func(k known) bool { return k.name == name })
	if i < 0 {
		return known{}, false
	}
	return t[table][i], true
}

// cache is PostgREST's schema cache. It is loaded when PostgREST connects and when it is notified, but
// not when tables change.
type cache struct {
	loading sync.Mutex // one after the other: a slow load must not put what it read before a later one
	mu      sync.Mutex
	known   tables
	deaf    bool
	loaded  chan struct{} // closed at the next load
}

// Deaf makes PostgREST miss notifications, so that its cache goes stale.
func (p *Project) Deaf(deaf bool) {
	p.cache.mu.Lock()
	defer p.cache.mu.Unlock()
	p.cache.deaf = deaf
}

// Await waits until PostgREST's cache knows a column of a table of the schema
// public.
func (p *Project) Await(tb testing.TB, table, column string) {
	tb.Helper()
	p.cache.await(tb, func(known tables) bool { _, ok := known.column("public."+table, column); return ok })
}

// Reload loads the cache now, even while PostgREST is deaf.
func (p *Project) Reload(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, p.DSN)
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close(ctx)
	if err := p.cache.load(ctx, c); err != nil {
		tb.Fatal(err)
	}
}

func (c *cache) snapshot() tables {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}

func (c *cache) await(tb testing.TB, sees func(tables) bool) {
	tb.Helper()
	late := time.After(30 * time.Second)
	for {
		c.mu.Lock()
		if c.loaded == nil {
			c.loaded = make(chan struct{})
		}
		known, loaded := c.known, c.loaded
		c.mu.Unlock()
		if known != nil && sees(known) {
			return
		}
		select {
		case <-loaded:
		case <-late:
			tb.Fatal("PostgREST's cache does not come to know it")
		}
	}
}

// listen keeps the cache up to date until ctx ends, over restarts of the database.
func (c *cache) listen(ctx context.Context, dsn string) {
	for ctx.Err() == nil {
		if err := c.follow(ctx, dsn); err != nil {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

func (c *cache) follow(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN pgrst"); err != nil {
		return err
	}
	for {
		if err := c.load(ctx, conn); err != nil {
			return err
		}
		for heard := false; !heard; {
			n, err := conn.WaitForNotification(ctx)
			if err != nil {
				return err
			}
			c.mu.Lock()
			heard = n.Payload == "reload schema" && !c.deaf
			c.mu.Unlock()
		}
	}
}

func (c *cache) load(ctx context.Context, conn *pgx.Conn) error {
	c.loading.Lock()
	defer c.loading.Unlock()
	rows, err := conn.Query(ctx, `SELECT n.nspname || '.' || c.relname, coalesce(a.attname, ''), coalesce(format_type(a.atttypid, a.atttypmod), ''), coalesce(format_type(a.atttypid, NULL), ''),
			coalesce(information_schema._pg_char_max_length(a.atttypid, a.atttypmod), 0), coalesce(a.attnotnull, false),
			coalesce(CASE WHEN a.attidentity = 'd' THEN 'nextval(' || quote_literal(c.relname || '_' || a.attname || '_seq') || ')' WHEN a.attgenerated = 's' THEN NULL ELSE pg_get_expr(d.adbin, d.adrelid) END, ''),
			EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)),
			ARRAY(SELECT enumlabel::text FROM pg_enum e WHERE e.enumtypid = a.atttypid ORDER BY enumsortorder)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
			LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
		WHERE n.nspname IN ('public', 'api') AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
		UNION ALL SELECT n.nspname || '.' || p.proname || '()', '', '', '', 0, false, '', false, '{}' FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN ('public', 'api')`)
	if err != nil {
		return fmt.Errorf("load the schema cache: %w", err)
	}
	all := tables{}
	var table string
	var k known
	_, err = pgx.ForEachRow(rows, []any{&table, &k.name, &k.nominal, &k.kind, &k.length, &k.notNull, &k.preset, &k.key, &k.choices}, func() error {
		all[table] = append(all[table], k)
		k.choices = nil
		return nil
	})
	if err != nil {
		return fmt.Errorf("load the schema cache: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = all
	if c.loaded != nil {
		close(c.loaded)
		c.loaded = nil
	}
	return nil
}
