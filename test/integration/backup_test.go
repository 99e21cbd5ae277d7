package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// A backup under load holds every event that was acknowledged before it, byte for byte. Restored
// elsewhere with key and settings, it delivers what waited under the old ids, and the audit balances.
func TestBackupHasAllThatWasAccepted(t *testing.T) {
	h := newHome(t)
	r := newReceiver(t, nil)
	acme := webhook("acme", r.URL, "a-secret-of-acme", "")
	globex := webhook("globex", r.URL, "a-secret-of-globex", "")
	h.write("developers/acme.yaml", acme)
	h.write("developers/globex.yaml", globex)
	d := h.start()
	if err := d.Pause(t.Context(), "globex", "app", "backed up while it waits"); err != nil {
		t.Fatal(err)
	}
	body := func(n int) []byte { return fmt.Appendf(nil, `{"type":"sleep", "n": %d}`, n) }

	var mu sync.Mutex
	var accepted []client.Accepted // acknowledged so far; that of body(i) is at i
	for range 50 {
		for _, developer := range []string{"acme", "globex"} {
			accepted = append(accepted, d.send(t, developer, body(len(accepted))))
		}
	}
	stop := make(chan struct{})
	var load sync.WaitGroup
	more := make(chan struct{}, 1)
	load.Go(func() { // one after another, so that the place in the list is the number in the body
		for {
			select {
			case <-stop:
				return
			default:
			}
			a, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: body(len(accepted))})
			if err != nil {
				t.Errorf("send: %v", err)
				return
			}
			mu.Lock()
			accepted = append(accepted, a)
			mu.Unlock()
			select {
			case more <- struct{}{}:
			default:
			}
		}
	})
	<-more
	mu.Lock()
	before := slices.Clone(accepted)
	mu.Unlock()
	dir := filepath.Join(t.TempDir(), "backups", "b1")
	if err := d.Backup(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	close(stop)
	load.Wait()
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}

	again := newHome(t)
	again.write("developers/acme.yaml", acme)
	again.write("developers/globex.yaml", globex)
	key, err := os.ReadFile(filepath.Join(h.dir, "fantail.key"))
	if err != nil {
		t.Fatal(err)
	}
	again.write("fantail.key", string(key))
	if code, out := command(t, "restore", "--config", filepath.Join(again.dir, "fantail.yaml"), dir); code != 0 {
		t.Fatal(out)
	}
	d = again.start()
	for n, a := range before {
		got, err := d.EventBody(t.Context(), a.ID)
		if err != nil || !bytes.Equal(got, body(n)) {
			t.Fatalf("event %d of %d after the restore: %s, %v", n, len(before), got, err)
		}
	}
	sent := map[string]bool{}
	for _, q := range r.all() {
		sent[q.header.Get("x-terra-trace-id")] = true
	}
	if err := d.Resume(t.Context(), "globex", "app"); err != nil {
		t.Fatal(err)
	}
	rows := d.balanced(t)
	for _, row := range rows {
		want := int64(50)
		if row.Developer == "acme" {
			want = int64(len(before)) - 50 // and what was accepted while the backup was being made
		}
		if row.Accepted < want || row.Delivered != row.Accepted {
			t.Errorf("after the restore %+v; at least %d were accepted before", row, want)
		}
	}
	waited := 0
	for _, q := range r.all() {
		if q.header.Get("dev-id") == "globex" {
			waited++
			if sent[q.header.Get("x-terra-trace-id")] {
				t.Error("what waited was delivered before")
			}
		}
	}
	if waited != 50 {
		t.Errorf("%d of the 50 deliveries that waited arrived after the restore", waited)
	}
}
