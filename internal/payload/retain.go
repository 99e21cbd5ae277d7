package payload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// removeRun is how many files are removed between two looks at the context.
const removeRun = 1000

// Retain removes the days whose payloads have all lived as long as keep, which is at least a
// day, and returns how many files it removed. It ends early with ctx; the next call removes the
// rest.
func (d *Dir) Retain(ctx context.Context, now time.Time, keep time.Duration) (removed int, err error) {
	days, err := d.list(".", -1)
	if err != nil {
		return 0, fmt.Errorf("list the payload store: %w", err)
	}
	for _, e := range days {
		day, ok := event.ParseDate(e.Name())
		if !ok || !e.IsDir() || end(day, keep).After(now) {
			continue
		}
		n, err := d.removeDay(ctx, e.Name())
		if removed += n; err != nil {
			return removed, fmt.Errorf("remove payloads of %s: %w", e.Name(), err)
		}
	}
	return removed, nil
}

// Erase removes the payloads of a developer, and returns how many files went.
func (d *Dir) Erase(ctx context.Context, developer string) (removed int, err error) {
	days, err := d.list(".", -1)
	if err != nil {
		return 0, fmt.Errorf("list the payload store: %w", err)
	}
	for _, e := range days {
		if _, ok := event.ParseDate(e.Name()); !ok || !e.IsDir() {
			continue
		}
		n, err := d.removeFolder(ctx, e.Name()+"/"+developer)
		if removed += n; err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, fmt.Errorf("remove payloads of %s: %w", e.Name(), err)
		}
	}
	return removed, nil
}

// end is when the payloads of a day are removed.
func end(day event.Day, keep time.Duration) time.Time { return day.Start().Add(24*time.Hour + keep) }

func (d *Dir) removeDay(ctx context.Context, day string) (removed int, err error) {
	developers, err := d.list(day, -1)
	if err != nil {
		return 0, err
	}
	for _, e := range developers {
		folder := day + "/" + e.Name()
		if !e.IsDir() {
			if err := d.root.Remove(folder); err != nil {
				return removed, err
			}
			continue
		}
		n, err := d.removeFolder(ctx, folder)
		if removed += n; err != nil {
			return removed, err
		}
	}
	return removed, d.root.Remove(day)
}

func (d *Dir) removeFolder(ctx context.Context, folder string) (removed int, err error) {
	for {
		if err := context.Cause(ctx); err != nil {
			return removed, err
		}
		files, err := d.list(folder, removeRun)
		if err != nil {
			return removed, err
		}
		if len(files) == 0 {
			d.mu.Lock()
			delete(d.durable, folder)
			d.mu.Unlock()
			return removed, d.root.Remove(folder)
		}
		for _, f := range files {
			if err := d.root.Remove(folder + "/" + f.Name()); err != nil {
				return removed, err
			}
			removed++
		}
	}
}

// list returns at most n entries of a folder, all of them for -1.
func (d *Dir) list(folder string, n int) ([]fs.DirEntry, error) {
	f, err := d.root.Open(folder)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return entries, errors.Join(err, f.Close())
}
