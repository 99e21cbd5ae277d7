package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/endpoint"
)

// daemonRules are what must hold in fantail.yaml beyond the types of its values.
type daemonRules struct {
	*binder
	daemon *daemon
}

var brandName = regexp.MustCompile(`^[a-z][a-z0-9]{0,31}$`)

// nameRule says what event.ValidName wants.
const nameRule = "must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit"

func (r *daemonRules) check() {
	f := &r.daemon.file
	r.Require("brand", brandName.MatchString(f.Brand), "must be 1 to 32 of a-z 0-9 and begin with a letter: it is part of names of headers and tables")
	r.developers()
	if r.OK("tls") && (f.TLS.Cert == "") != (f.TLS.Key == "") {
		r.At("tls", "cert and key go together: set both, or neither")
	}
	// A key given in the place of a path would be shown by the error that its file does not exist.
	r.Require("tls.cert", !strings.Contains(f.TLS.Cert, "-----BEGIN"), "must be the path of a PEM file, not its text")
	r.Require("tls.key", !strings.Contains(f.TLS.Key, "-----BEGIN"), "must be the path of a PEM file, not its text")
	r.listen()
	r.tokens()
	r.keys()
	r.store()
	r.payloads()
	r.console()
	r.retention()
	r.egress()
	r.destinationNames("ambient", f.Ambient)
	r.types()
	r.notices()
	r.healthcheck()
	r.tracing()
	r.limits()
	r.between("shutdown_delay", time.Duration(f.ShutdownDelay), 0, 10*time.Minute)
	r.between("shutdown_grace", time.Duration(f.ShutdownGrace), 0, 10*time.Minute)
}

func (r *daemonRules) listen() {
	if !r.OK("listen") {
		return
	}
	f := &r.daemon.file
	loopback, fault := judgeListen(f.Listen)
	switch {
	case fault != "":
		r.At("listen", "%s", fault)
	case loopback || !r.OK("tokens"):
	case len(f.Tokens) == 0:
		r.At("listen", "other machines can reach this address: list tokens, or listen on 127.0.0.1")
	case f.TLS.Cert == "":
		r.daemon.note("listen", "other machines can reach this address and tokens travel in clear: set tls, unless a proxy before it does")
	}
}

// judgeListen tells whether only this machine can reach address, or what is wrong with it. It
// looks up no names: what they stand for may change.
func judgeListen(address string) (loopback bool, fault string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false, "must be address:port, as 127.0.0.1:8080 or [::1]:8080"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return false, "must end in a port from 0 to 65535 (0 takes a free one)"
	}
	if host == "localhost" {
		return true, ""
	}
	if host == "" {
		return false, ""
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false, "must begin with an IP address or localhost: write 0.0.0.0 for every address of this machine"
	}
	return ip.Unmap().IsLoopback(), ""
}

func (r *daemonRules) retention() {
	f := &r.daemon.file
	const day = 24 * time.Hour
	if f.Retention.Events != 0 {
		r.Require("retention.events", time.Duration(f.Retention.Events) >= day, "must be at least 24h, or 0 for ever: it is kept by the day")
	}
	if f.Retention.Attempts != 0 && (f.Retention.Events == 0 || f.Retention.Attempts < f.Retention.Events) && r.OK("retention.events") {
		r.Require("retention.attempts", false, "must be at least retention.events, or 0 for ever: an event would outlive the record of its deliveries")
	}
	if f.Retention.Payloads != 0 && r.OK("retention.events") {
		r.Require("retention.payloads", f.Retention.Events != 0 && time.Duration(f.Retention.Payloads-f.Retention.Events) >= 7*day,
			"must be at least 168h more than retention.events, or 0 for ever: links live for 7 days, and are made as long as the body is there")
	}
	if f.Retention.Changes != 0 {
		r.Require("retention.changes", time.Duration(f.Retention.Changes) >= day, "must be at least 24h, or 0 for ever: it is kept by the day")
	}
	r.Require("idempotency", time.Duration(f.Idempotency) >= time.Hour, "must be at least 1h")
}

func (r *daemonRules) egress() {
	const maxSources = 256
	f := &r.daemon.file.Egress
	if !f.Proxy.IsZero() && r.OK("egress.proxy") {
		u, err := url.Parse(f.Proxy.Reveal())
		if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.Port() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			r.At("egress.proxy", "must be http://host:port or http://user:password@host:port")
		} else if _, err := endpoint.Host(u.Hostname()); err != nil {
			r.At("egress.proxy", "%s", err)
		}
	}
	r.Require("egress.source", len(f.Source) <= maxSources, "has more than 256 addresses")
	for i, a := range f.Source[:min(len(f.Source), maxSources)] {
		if slices.Contains(f.Source[:i], a) && r.OK("egress.source") {
			r.At(strictyaml.Index("egress.source", i), "is there twice: remove one")
		}
	}
}

func (r *daemonRules) limits() {
	f := &r.daemon.file.Limits
	r.Require("limits.body", f.Body >= 1<<10 && f.Body <= 512<<20, "must be from 1KiB to 512MiB")
	r.Require("limits.body_rate", f.BodyRate >= 1 && f.BodyRate <= 1<<20, "must be from 1B/s to 1MiB/s")
	r.Require("limits.in_flight", f.InFlight >= 1 && f.InFlight <= 1<<16, "must be from 1 to 65536")
	if r.OK("limits.body") {
		r.Require("limits.in_flight_bytes", f.InFlightBytes >= f.Body, "must be at least limits.body: the largest body could never be sent")
	}
	if f.Lag > 0 {
		r.between("limits.lag", time.Duration(f.Lag), 100*time.Millisecond, time.Hour)
	}
	r.Require("limits.per_developer.pending", f.PerDeveloper.Pending >= 0, "must not be negative: 0 is no limit")
	r.Require("limits.per_developer.destinations", f.PerDeveloper.Destinations >= 1, "must be at least 1")
	r.between("limits.per_developer.shortest_wait", time.Duration(f.PerDeveloper.ShortestWait), minWait, time.Hour)
}

func netipPrefix(n network) netip.Prefix { return netip.Prefix(n) }
func netipAddr(a address) netip.Addr     { return netip.Addr(a) }
