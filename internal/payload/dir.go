// Package payload is the operator's payload store: destinations link to its payloads instead of
// carrying them. The embedded store keeps files and serves them behind signed links. Buckets of
// a cloud are wrapped: a fault of theirs is the operator's, and is shown to the operator.
package payload

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// temporary is the folder in which files are written before they get their names. It lies beside
// the days, so that what a crash left behind is found without a walk over all of them.
const temporary = "tmp"

// Dir is the embedded payload store: one file a payload, in a folder of its own.
type Dir struct {
	path    string
	public  string
	reserve int64
	root    *os.Root
	keys    atomic.Pointer[keyring.Ring]

	mu      sync.Mutex
	durable map[string]bool // folders of this process's life whose own entries are on disk
}

var (
	_ destination.PayloadStore = (*Dir)(nil)
	_ destination.Checker      = (*Dir)(nil)
	_ http.Handler             = (*Dir)(nil)
)

// DirOptions build a Dir.
type DirOptions struct {
	Path      string // made when missing
	PublicURL string // what links begin with; the daemon serves what lies below it at /payloads/
	Reserve   int64  // bytes of the disk kept free: with less, nothing is put
	Keys      *keyring.Ring
}

// OpenDir opens the store in o.Path. Only one process may have it open.
func OpenDir(o DirOptions) (*Dir, error) {
	if err := os.MkdirAll(o.Path, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the payload store: %w", err)
	}
	root, err := os.OpenRoot(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open the payload store: %w", err)
	}
	d := &Dir{path: o.Path, public: o.PublicURL, reserve: o.Reserve, root: root, durable: map[string]bool{}}
	d.SetKeys(o.Keys)
	if err := errors.Join(root.RemoveAll(temporary), root.Mkdir(temporary, 0o700)); err != nil {
		return nil, errors.Join(fmt.Errorf("open the payload store: %w", err), root.Close())
	}
	return d, nil
}

// SetKeys swaps the keys that sign and verify links.
func (d *Dir) SetKeys(keys *keyring.Ring) { d.keys.Store(keys) }

// Close releases the folder. No call is under way then.
func (d *Dir) Close() error { return d.root.Close() }

// Put stores p: when it returns nil, p survives a power failure.
func (d *Dir) Put(ctx context.Context, developer string, p event.Payload) error {
	k, err := event.PayloadKeyOf(developer, p.ID)
	if err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	there, err := d.Has(ctx, developer, p.ID)
	if err != nil {
		return err
	}
	if !there {
		if err := d.room(int64(len(p.Body))); err != nil {
			return err
		}
		if err := d.folder(k); err != nil {
			return err
		}
		if err := d.write(k, p.Body); err != nil {
			return fmt.Errorf("write payload %s: %w", p.ID, err)
		}
	}
	// Sync the folder even when the file was there already: the writer of that file may not have
	// synced it yet.
	if err := d.sync(k.Folder()); err != nil {
		return fmt.Errorf("write payload %s: %w", p.ID, err)
	}
	return nil
}

// Has tells whether a payload is there.
func (d *Dir) Has(_ context.Context, developer, id string) (bool, error) {
	k, err := event.PayloadKeyOf(developer, id)
	if err != nil {
		return false, err
	}
	info, err := d.root.Lstat(k.String())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for payload %s: %w", id, err)
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("look for payload %s: something else has its name", id)
	}
	return true, nil
}

// write makes the file under another name first, so that a name always has a whole file.
func (d *Dir) write(k event.PayloadKey, body []byte) (err error) {
	name := temporary + "/" + rand.Text()
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.root.Remove(name))
		}
	}()
	_, err = f.Write(body)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return d.root.Rename(name, k.String())
}

// folder makes the folder of k. Once in the life of the process, it makes sure that the folder's
// own entry is on disk.
func (d *Dir) folder(k event.PayloadKey) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.durable[k.Folder()] {
		return nil
	}
	if err := d.root.MkdirAll(k.Folder(), 0o700); err != nil {
		return fmt.Errorf("make a folder of the payload store: %w", err)
	}
	if err := errors.Join(d.sync("."), d.sync(k.Day.Date())); err != nil {
		return fmt.Errorf("make a folder of the payload store: %w", err)
	}
	d.durable[k.Folder()] = true
	return nil
}

func (d *Dir) sync(folder string) error {
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// room refuses what would leave too little of the disk: the store of events may
// lie on the same one, and a full disk stops it.
func (d *Dir) room(size int64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.path, &s); err != nil {
		return fmt.Errorf("ask for the free space of the payload store: %w", err)
	}
	free := int64(s.Bavail) * int64(s.Bsize) //nolint:unconvert // the types differ between systems
	if free-size < d.reserve {
		return fmt.Errorf("the disk of the payload store has %d MiB left: %w", free>>20, syscall.ENOSPC)
	}
	return nil
}

// Check writes a file and removes it.
func (d *Dir) Check(context.Context) error {
	if err := d.room(0); err != nil {
		return err
	}
	name := temporary + "/" + rand.Text()
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write to the payload store: %w", err)
	}
	_, err = f.Write(bytes.Repeat([]byte{' '}, 4<<10))
	if err := errors.Join(err, f.Sync(), f.Close(), d.root.Remove(name)); err != nil {
		return fmt.Errorf("write to the payload store: %w", err)
	}
	return nil
}
