package storetest

import (
	"bytes"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func settingsCases() []scenario {
	return []scenario{
		{"are kept under their hash", 0, settingsKept},
		{"are collected when no delivery needs them", 0, settingsCollected},
		{"every end of a delivery frees them", 0, settingsFreed},
		{"that were never put", 0, settingsMissing},
		{"and values in one call", 0, settingsTogether},
	}
}

func (r *rig) seal(hashes ...uint64) {
	r.Helper()
	for _, h := range hashes {
		r.must("put settings", r.s.PutSettings(r.ctx, map[uint64][]byte{h: {byte(h), 1, 2, 3}}, nil))
	}
}

// collects removes settings and fails the case unless exactly left remain of all.
func (r *rig) collects(all, left []uint64, keep ...uint64) {
	r.Helper()
	var had int
	for _, h := range all {
		if _, err := r.s.Settings(r.ctx, h); err == nil {
			had++
		}
	}
	n, err := r.s.CollectSettings(r.ctx, keep)
	r.must("collect settings", err)
	if n != had-len(left) {
		r.Errorf("collected %d of %d settings, want %d", n, had, had-len(left))
	}
	for _, h := range all {
		_, err := r.s.Settings(r.ctx, h)
		if slices.Contains(left, h) {
			if err != nil {
				r.Errorf("settings %d are needed: %v", h, err)
			}
		} else {
			r.wants("collected settings", err, store.ErrNotFound)
		}
	}
}

func settingsKept(r *rig) {
	big := bytes.Repeat([]byte{0, 0xff}, 40_000)
	for _, h := range []uint64{1, 255, 256, 1 << 63, 1<<64 - 1} {
		_, err := r.s.Settings(r.ctx, h)
		r.wants("settings before put", err, store.ErrNotFound)
		r.must("put settings", r.s.PutSettings(r.ctx, map[uint64][]byte{h: append([]byte{byte(h), byte(h >> 8)}, big...)}, nil))
		r.must("put settings again", r.s.PutSettings(r.ctx, map[uint64][]byte{h: append([]byte{byte(h), byte(h >> 8)}, big...)}, nil))
	}
	r.reopen()
	for _, h := range []uint64{1, 255, 256, 1 << 63, 1<<64 - 1} {
		got, err := r.s.Settings(r.ctx, h)
		r.must("settings", err)
		if !bytes.Equal(got, append([]byte{byte(h), byte(h >> 8)}, big...)) {
			r.Errorf("settings %d: %d bytes, or other ones", h, len(got))
		}
	}
}

func settingsTogether(r *rig) {
	r.seal(1)
	r.must("put a value", r.s.Put(r.ctx, "old", []byte("old")))
	r.must("put settings", r.s.PutSettings(r.ctx, map[uint64][]byte{1: []byte("other"), 2: []byte("two"), 3: []byte("three")}, map[string][]byte{"old": []byte("new"), "more": []byte("more")}))
	check := func() {
		r.Helper()
		for hash, want := range map[uint64]string{1: "\x01\x01\x02\x03", 2: "two", 3: "three"} {
			got, err := r.s.Settings(r.ctx, hash)
			r.must("settings", err)
			if string(got) != want {
				r.Errorf("settings %d: %q, want %q", hash, got, want)
			}
		}
		for key, want := range map[string]string{"old": "new", "more": "more"} {
			got, err := r.s.Get(r.ctx, key)
			r.must("get", err)
			if string(got) != want {
				r.Errorf("value %s: %q, want %q", key, got, want)
			}
		}
		without, err := r.s.WithoutSettings(r.ctx, []uint64{4, 3, 2, 5, 1})
		r.must("without settings", err)
		if !slices.Equal(without, []uint64{4, 5}) {
			r.Errorf("without settings: %v, want 4 and 5", without)
		}
	}
	check()
	r.reopen()
	check()
	r.must("put nothing", r.s.PutSettings(r.ctx, nil, nil))
	check()
	r.collects([]uint64{1, 2, 3}, []uint64{2}, 2)
	without, err := r.s.WithoutSettings(r.ctx, []uint64{1, 2, 3})
	r.must("without settings", err)
	if !slices.Equal(without, []uint64{1, 3}) {
		r.Errorf("without settings: %v, want those that were collected", without)
	}
}

func settingsCollected(r *rig) {
	a, b := r.dest(), r.dest()
	all := []uint64{1, 2, 3, 4, 5}
	r.seal(all...)
	one := r.settle(r.failed(r.post(a)[0], time.Hour, 1))[0].Item
	two := r.settle(r.failed(r.post(a)[0], time.Hour, 2), r.failed(r.post(b)[0], time.Hour, 2))
	r.post(a)
	r.collects(all, []uint64{1, 2, 4}, 4, 99)
	r.reopen()
	r.collects(all, []uint64{1, 2, 4}, 4)
	r.settle(r.delivered(one), r.delivered(two[0].Item))
	r.collects(all, []uint64{2, 4}, 4)
	r.reopen()
	r.settle(r.rejected(two[1].Item))
	r.collects(all, []uint64{4}, 4)
	r.collects(all, nil)
	r.collects(all, nil)
	r.seal(1)
	r.collects(all, []uint64{1}, 1)
}

func settingsFreed(r *rig) {
	d := r.dest()
	frozen := func(hash uint64) store.Item {
		r.Helper()
		r.seal(hash)
		return r.settle(r.failed(r.post(d)[0], time.Hour, hash))[0].Item
	}
	all := []uint64{1, 2, 3, 4, 5, 6, 7, 8}
	items := []store.Item{}
	for _, h := range all {
		items = append(items, frozen(h))
	}
	free := []func(it store.Item){
		func(it store.Item) { r.settle(r.delivered(it)) },
		func(it store.Item) { r.settle(r.rejected(it)) },
		func(it store.Item) { r.move(store.Cancel, it.ID) },
		func(it store.Item) { r.move(store.Expire, it.ID) },
		func(it store.Item) { r.move(store.Retry, it.ID) },
		func(it store.Item) { r.move(store.Rebind, it.ID) },
		func(it store.Item) { r.settle(r.failed(it, time.Hour, 8)) },
		func(it store.Item) { r.settle(r.interrupted(it)) },
	}
	for i, it := range items {
		r.collects(all, all[i:])
		free[i](it)
		if i == 3 {
			r.reopen()
		}
	}
	r.collects(all, all[7:])
}

func settingsMissing(r *rig) {
	d := r.dest()
	it := r.settle(r.failed(r.post(d)[0], time.Hour, 50))[0].Item
	if n, err := r.s.CollectSettings(r.ctx, []uint64{51}); n != 0 || err != nil {
		r.Errorf("collected %d of none: %v", n, err)
	}
	r.settle(r.delivered(it))
	if n, err := r.s.CollectSettings(r.ctx, nil); n != 0 || err != nil {
		r.Errorf("collected %d of none: %v", n, err)
	}
}
