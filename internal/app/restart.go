package app

import (
	"reflect"

	"github.com/seed-51f8da91/fantail/internal/config"
)

// needRestart lists the settings of the daemon that differ and are built into
// what runs: connections, the stores, the listeners. Everything else follows a reload.
func needRestart(old, next *config.Daemon) []string {
	var keys []string
	for _, s := range []struct {
		key       string
		old, next any
	}{
		{"brand", old.Brand, next.Brand},
		{"listen", old.Listen, next.Listen},
		{"tls", old.TLS.Cert != "", next.TLS.Cert != ""}, // renewed files are read again
		{"store", old.Store, next.Store},
		{"payloads", old.Payloads, next.Payloads},
		{"types", old.Types, next.Types},
		{"egress.proxy", old.Egress.Proxy.Reveal(), next.Egress.Proxy.Reveal()},
		{"egress", [3]any{old.Egress.Allow, old.Egress.Deny, old.Egress.Source}, [3]any{next.Egress.Allow, next.Egress.Deny, next.Egress.Source}},
		{"limits", builtIn(old.Limits), builtIn(next.Limits)},
		{"tracing", old.Tracing, next.Tracing},
	} {
		if !reflect.DeepEqual(s.old, s.next) {
			keys = append(keys, s.key)
		}
	}
	return keys
}

// builtIn leaves out the limits that developers' files are judged by.
func builtIn(l config.Limits) config.Limits {
	l.PerDeveloper.Destinations, l.PerDeveloper.ShortestWait = 0, 0
	return l
}
