package storetest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func (m *model) Note(_ context.Context, now time.Time, acts []store.Act) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.commit()
	at := now.UnixMilli() * int64(time.Millisecond)
	if n := len(m.acts); n > 0 {
		at = max(at, m.acts[n-1].At)
	}
	for _, a := range acts {
		a.At = at
		m.acts = append(m.acts, a)
	}
	return nil
}

// Acts hands out cursors that say how many acts were older, and of which query.
func (m *model) Acts(_ context.Context, q store.ActQuery) (store.Page[store.Act], error) {
	var page store.Page[store.Act]
	if err := m.lock(); err != nil {
		return page, err
	}
	defer m.mu.Unlock()
	print := fmt.Sprintf("%q%q%q%q%v", q.Developers, q.By, q.Call, q.Object, q.States)
	end := len(m.acts)
	if q.Cursor != "" {
		n, of, _ := strings.Cut(q.Cursor, " ")
		older, err := strconv.Atoi(n)
		if err != nil || of != print || older > end {
			return page, store.ErrCursor
		}
		end = older
	}
	for i := end - 1; i >= 0; i-- {
		a := m.acts[i]
		if q.Developers != nil && !slices.Contains(q.Developers, a.Developer) || q.By != "" && q.By != a.By || q.Call != "" && q.Call != a.Call ||
			q.Object != "" && q.Object != a.Object || q.States && a.State == "" ||
			!q.Since.IsZero() && a.At < q.Since.UnixNano() || !q.Until.IsZero() && a.At >= q.Until.UnixNano() {
			continue
		}
		if len(page.Items) == q.Limit {
			page.Next = fmt.Sprint(i+1, " ", print)
			break
		}
		page.Items = append(page.Items, a)
	}
	return page, nil
}
