package delivery

import (
	"context"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func (m *model) account() {
	m.t.Helper()
	states := map[store.State]int{}
	for _, it := range m.all {
		d, as := m.record(it)
		states[d.State]++
		id := it.ID.String()
		counted := 0
		for _, a := range as {
			if a.Counted {
				counted++
			}
		}
		switch {
		case d.State == store.Pending:
			m.t.Errorf("%s is still pending, due %v, settings %x, %d attempts", id, time.Unix(0, d.Due).Sub(m.began), d.Settings, d.Attempts)
		case d.State == store.Delivered && m.accepted[id] == 0:
			m.t.Errorf("%s is delivered, which the far side does not know", id)
		case d.State == store.Delivered && m.accepted[id] > 1 && !m.crashes && !m.byHand[id]:
			m.t.Errorf("%s arrived %d times", id, m.accepted[id])
		case d.State != store.Delivered && m.accepted[id] > 0 && !m.crashes && !m.byHand[id]:
			m.t.Errorf("%s arrived and is %v", id, d.State)
		case d.State == store.Dead && !m.byHand[id] && (counted == 0 || counted > 5):
			m.t.Errorf("%s is dead after %d counted attempts: %q", id, counted, d.Reason)
		}
	}
	rows, err := m.store.Audit(context.Background(), true, nil)
	if err != nil {
		m.t.Error(err)
	}
	for _, row := range rows {
		if c := row.Counts; c != *row.Recounted || c.Accepted != c.Delivered+c.Dead+c.Cancelled+c.Pending {
			m.t.Errorf("%d: %+v, recounted %+v", row.Dest, c, *row.Recounted)
		}
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if n := len(m.s.jobs); n != 0 || m.s.loader.positions != 0 {
		m.t.Errorf("%d deliveries, %d positions in memory", n, m.s.loader.positions)
	}
	for _, d := range m.s.dests {
		if len(d.lanes) != 1 || len(d.queues) > 1 {
			m.t.Errorf("%d lanes, %d queues of %s", len(d.lanes), len(d.queues), d.key.Name)
		}
	}
	m.t.Logf("%d deliveries: %v", len(m.all), states)
}
