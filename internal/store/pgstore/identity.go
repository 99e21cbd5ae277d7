package pgstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"
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
}

const timelineKey = "fantail.timeline"

// sqlIdentity: the first 8 digits of the name of a segment of the log are the timeline.
const sqlIdentity = `SELECT (pg_control_system()).system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8)`

// watch has every connection of these looked at.
func (i *identity) watch(cs configs) configs {
	return cs.with(func(c *pgx.ConnConfig) {
		next := c.ValidateConnect
		c.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
			if next != nil {
				if err := next(ctx, conn); err != nil {
					return err
				}
			}
			return i.look(ctx, conn)
		}
	})
}

func (i *identity) look(ctx context.Context, conn *pgconn.PgConn) error {
	results, err := conn.Exec(ctx, sqlIdentity).ReadAll()
	if _, answered := refused(err); answered { // some services do not tell
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
	return nil
}

// former tells whether a connection is to a server that has been replaced.
func (i *identity) former(c *pgconn.PgConn) bool {
	timeline, told := c.CustomData()[timelineKey].(int64)
	i.mu.Lock()
	defer i.mu.Unlock()
	return told && timeline < i.timeline
}

// failedOver forgets what was true of the former primary: its connections, and that leases were
// renewed in time. What a failover took back of an adoption, the lookout finds.
func (s *Store) failedOver() {
	s.lease.since.Store(bootTime())
	if s.pool != nil {
		go s.pool.Reset()
	}
}
