package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/peer"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// What one daemon alone may do of all that work on a store.
const (
	dutyRetention   = "retention"
	dutyChecks      = "checks"
	dutyHealthcheck = "healthcheck"
	dutyReplays     = "replays"
)

// vital is a store that tells how it is.
type vital interface{ Vitals() store.Vitals }

// duty returns what tells whether this daemon has to do something that one alone may do.
// With the embedded store it has to do everything.
func (a *App) duty(name string) func(context.Context) bool {
	return func(ctx context.Context) bool {
		if a.shared == nil {
			return true
		}
		mine, err := a.shared.Duty(ctx, name)
		if err != nil && ctx.Err() == nil {
			a.log.Debug("whose duty it is was not found out; it is asked again", "duty", name, "error", err)
		}
		return mine && err == nil
	}
}

// openPeers begins to know of the other daemons, where the store is shared.
func (a *App) openPeers(ctx context.Context) error {
	if a.shared == nil {
		return nil
	}
	a.peers = peer.New(peer.Options{
		Store: a.shared, Say: a.say, Keys: func() *keyring.Ring { return a.current.Load().keys }, Log: a.log,
	})
	return a.peers.List(ctx) // before documents are sealed anew: others may have other keys
}

// say is what this daemon says of itself to the others.
func (a *App) say() store.Daemon {
	cur := a.current.Load()
	d := store.Daemon{Name: a.started.Store.Postgres.Name, API: a.started.Store.Postgres.Advertise, Version: a.version, Key: keysPrint(cur.keys), Files: cur.files}
	if d.API == "" && len(a.fronts) > 0 {
		if at, err := netip.ParseAddrPort(a.Addr()); err == nil && !at.Addr().IsUnspecified() {
			d.API = a.URL()
		}
	}
	return d
}

// keysPrint tells one list of keys from another: the first seals, the last fingerprints.
func keysPrint(keys *keyring.Ring) string {
	return hex.EncodeToString(keys.Seal("", nil)[:keyring.HeaderSize]) + "-" + strconv.FormatUint(keys.Fingerprint([]byte("keys")), 16)
}

// filesPrint tells one reading of the settings in files from another, but for what is meant to
// differ from daemon to daemon.
func filesPrint(snap *config.Snapshot) string {
	all := snap.Effective()
	for _, own := range []string{"listen", "tls", "store", "keys"} {
		delete(all, own)
	}
	text, err := json.Marshal(all)
	if err != nil {
		text = fmt.Append(nil, all) // maps print sorted
	}
	for _, t := range snap.Daemon.Tokens {
		sum := sha256.Sum256([]byte(t.Value.Reveal()))
		text = append(append(text, t.Name...), sum[:]...)
	}
	if !snap.Daemon.Developers.Stored {
		for _, id := range slices.Sorted(maps.Keys(snap.Developers)) {
			text = append(text, snap.Developers[id].Freeze()...)
		}
	}
	return strconv.FormatUint(snap.Keys.Fingerprint(text), 16)
}

// differences says what the other daemons have that this one has not: what one of them accepts
// another may not be able to deliver, or would deliver otherwise.
func (a *App) differences() (warnings []string) {
	if a.peers == nil {
		return nil
	}
	own := a.say()
	if own.API == "" {
		warnings = append(warnings, "other daemons cannot ask this one: set store.postgres.advertise to the URL of its API")
	}
	for _, o := range a.peers.Others() {
		if o.Key != own.Key {
			warnings = append(warnings, fmt.Sprintf("daemon %s has other keys than this one: what one of them sealed the other may not be able to open; give both the same key files", o.Name))
		} else if o.Files != own.Files {
			warnings = append(warnings, fmt.Sprintf("daemon %s runs on other files than this one (fantail.yaml, or the developers' folder): copy them, and reload both", o.Name))
		}
		if o.API == "" {
			warnings = append(warnings, fmt.Sprintf("daemon %s cannot be asked for what it alone knows: set store.postgres.advertise there", o.Name))
		}
	}
	return warnings
}

// otherKeys tells whether a daemon that is alive has other keys.
func (a *App) otherKeys(keys *keyring.Ring) bool {
	own := keysPrint(keys)
	return slices.ContainsFunc(a.peers.Others(), func(o store.Daemon) bool { return o.Key != own })
}

// daemons tells among how many daemons the intake's rates are divided; nil where this is the only one.
func (a *App) daemons() func() int {
	if a.shared == nil {
		return nil
	}
	return func() int {
		_, n := a.shared.Share()
		return n
	}
}
