package pgstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// identity is which database the store is on. After a failover another server answers for it,
// with a later timeline. The former primary may be alive, and take writes that everybody else
// will never see: no connection to it is used any more.
type identity struct {
	log    *slog.Logger
	change func() // called when the timeline has become a later one

	mu       sync.Mutex
	system   string
	timeline int64 // the latest that was seen; 0: servers do not tell
	good     int   // which URL led to it last
}

const timelineKey = "fantail.timeline"

// sqlIdentity: the first 8 digits of the name of a segment of the log are the timeline.
const sqlIdentity = `SELECT (pg_control_system()).system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8)`

// watch has every connection of these looked at.
func (i *identity) watch(cs configs) configs {
	out := make(configs, len(cs))
	for n, c := range cs {
		c = c.Copy()
		next := c.ValidateConnect
		c.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
			if next != nil {
				if err := next(ctx, conn); err != nil {
					return err
				}
			}
			return i.look(ctx, conn, n)
		}
		out[n] = c
	}
	return out
}

func (i *identity) look(ctx context.Context, conn *pgconn.PgConn, url int) error {
	results, err := conn.Exec(ctx, sqlIdentity).ReadAll()
	if _, answered := refused(err); answered { // some services do not tell
		i.mu.Lock()
		i.good = url
		i.mu.Unlock()
		return nil
	}
	if err != nil {
		return err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return errors.New("the server does not say which database it is")
	}
	system := string(results[0].Rows[0][0])
	timeline, err := strconv.ParseInt(string(results[0].Rows[0][1]), 16, 64)
	if err != nil {
		return fmt.Errorf("read the timeline of the server: %w", err)
	}
	conn.CustomData()[timelineKey] = timeline
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.system == "":
		i.system, i.timeline = system, timeline
	case system != i.system:
		return errors.New("the server has another database than the one that this daemon began on")
	case timeline < i.timeline:
		return fmt.Errorf("the server is a former primary: its timeline is %d, and %d began meanwhile", timeline, i.timeline)
	case timeline > i.timeline:
		i.log.Warn("another server has become the primary", "timeline", timeline, "before", i.timeline)
		i.timeline = timeline
		i.change()
	}
	i.good = url
	return nil
}

// timelineOf is the timeline of the server of a connection; 0: it does not tell.
func timelineOf(c *pgconn.PgConn) int64 {
	timeline, _ := c.CustomData()[timelineKey].(int64)
	return timeline
}

// former tells whether a connection is to a server that has been replaced.
func (i *identity) former(c *pgconn.PgConn) bool {
	_, told := c.CustomData()[timelineKey]
	i.mu.Lock()
	defer i.mu.Unlock()
	return told && timelineOf(c) < i.timeline
}

// inTurn returns the URLs in the order in which they are tried: the one that led to the primary last
// comes first. A machine that is gone does not answer at all, and every new connection would wait for it.
func (i *identity) inTurn(cs configs) configs {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append(append(configs{}, cs[i.good:]...), cs[:i.good]...)
}
