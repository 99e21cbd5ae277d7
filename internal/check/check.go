// Package check looks at a destination without sending it anything that it would take for an
// event. It looks at name, guard, connection and certificate, and at what the kind's own check
// knows of credentials, rights, buckets, queues and tables.
package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Timeout bounds one check.
const Timeout = 30 * time.Second

// soon is how long before the end of a certificate a remark is made. Most certificates are renewed
// 30 days before; one with 14 days left was forgotten.
const soon = 14 * 24 * time.Hour

// Level says how bad a finding is.
type Level string

// The levels, from good to bad.
const (
	OK   Level = "ok"
	Warn Level = "warn" // deliveries can be made; somebody should look at it
	Fail Level = "fail" // deliveries cannot be made
)

// Finding is one thing that was looked at.
type Finding struct {
	Name    string // dns, guard, connect, tls, access, check; state
	Level   Level
	Message string // one sentence, free of secrets
	Advice  string // what to do; "" if nothing
}

// Result is what came of one check.
type Result struct {
	At       time.Time
	Took     time.Duration
	Level    Level     // of the worst finding
	Expires  time.Time // when the first of the certificates ends that were seen; zero: none was
	Findings []Finding // in the order of a delivery's way
}

// Add puts f before the other findings.
func (r *Result) Add(f Finding) {
	r.Findings = append([]Finding{f}, r.Findings...)
	r.Level = worse(r.Level, f.Level)
}

// Fault returns the message of the first finding that is as bad as the result; "" if all is well.
func (r *Result) Fault() string {
	for _, f := range r.Findings {
		if f.Level == r.Level && f.Level != OK {
			return f.Message
		}
	}
	return ""
}

func worse(a, b Level) Level {
	rank := map[Level]int{OK: 0, Warn: 1, Fail: 2}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// Unable is the result for a kind whose destinations cannot check anything.
func Unable(kind string) Result {
	r := Result{At: time.Now().UTC(), Level: OK}
	r.Add(Finding{"check", Warn, fmt.Sprintf("destinations of kind %s have no check", kind), "send an event to it with `fantail test`"})
	return r
}

// Withheld is the result of a check that is not made; why says it in one sentence.
func Withheld(why string) Result {
	r := Result{At: time.Now().UTC(), Level: OK}
	r.Add(Finding{"check", Warn, "not checked: " + why, "look for the crash in the daemon's log, and report it; it is checked again by itself"})
	return r
}

// Run checks d, whose kind is kind, within [Timeout]. The connections of d must be made through
// [Watch], or they are not seen.
func Run(ctx context.Context, d destination.Destination, kind string) Result {
	c, ok := d.(destination.Checker)
	if !ok {
		return Unable(kind)
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var w witness
	began := time.Now()
	err := guarded(w.watch(ctx), c)
	dials, hands := w.seen()
	r := Result{At: began.UTC(), Took: time.Since(began), Level: OK, Findings: judge(kind, dials, hands, err, time.Now())}
	if p, ok := d.(destination.Presenter); ok {
		for _, c := range p.Certificates() {
			hands = append(hands, handshake{expires: c.NotAfter})
			r.Findings = append(r.Findings, ofOwn(c, time.Now()))
		}
	}
	for _, f := range r.Findings {
		r.Level = worse(r.Level, f.Level)
	}
	for _, h := range hands {
		if !h.expires.IsZero() && (r.Expires.IsZero() || h.expires.Before(r.Expires)) {
			r.Expires = h.expires.UTC()
		}
	}
	return r
}

// guarded calls Check and turns a panic into an error. Kinds may come from anybody, and the text
// of a panic may hold anything, so that it is dropped.
func guarded(ctx context.Context, c destination.Checker) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the check of this kind panicked (%T)", v)
		}
	}()
	return c.Check(ctx)
}

// judge turns what was seen, and what Check returned, into findings. Pure.
func judge(kind string, dials []dialled, hands []handshake, err error, now time.Time) []Finding {
	remark, remarked := errors.AsType[destination.Remark](err)
	if remarked {
		err = nil
	}
	var found []Finding
	failed := false
	add := func(f Finding) {
		if f.Level == Fail && err == nil {
			f.Level = Warn // another host, or another try, served
		}
		failed = failed || f.Level == Fail
		found = append(found, f)
	}
	for _, d := range dials {
		for _, f := range ofDial(d) {
			if f.Level == Fail && err != nil && strings.Contains(err.Error(), f.Message) {
				f.Message = err.Error() // it says what was attempted, and is what holds a destination
			}
			add(f)
		}
	}
	for _, h := range hands {
		add(ofTLS(h, now))
	}
	switch {
	case remarked:
		add(Finding{"access", Warn, string(remark), ""})
	case err == nil:
		add(Finding{"access", OK, "the check of kind " + kind + " found nothing in the way of deliveries", ""})
	case !failed:
		add(ofAccess(err))
	}
	return found
}

// ofDial says how far a connection came: name, guard, connection.
func ofDial(d dialled) (found []Finding) {
	if _, err := netip.ParseAddr(d.host); err != nil {
		if _, unknown := errors.AsType[*net.DNSError](d.err); unknown {
			return []Finding{{"dns", Fail, d.err.Error(), "see whether the host in the settings is spelt right and known to the daemon's resolver"}}
		}
		found = append(found, Finding{"dns", OK, d.host + " resolves", ""})
	}
	class, _ := destination.ClassOf(d.err)
	switch {
	case d.err == nil:
	case errors.Is(d.err, destination.ErrEngine):
		return append(found, Finding{"connect", Fail, d.err.Error(), "this is a fault of the daemon's own machine, not of the destination"})
	case class == destination.Misconfigured:
		return append(found, Finding{"guard", Fail, d.err.Error(), "use an address that may be reached, or have the operator permit this one with egress.allow"})
	default:
		return append(found, Finding{"guard", OK, d.host + " may be reached", ""},
			Finding{"connect", Fail, d.err.Error(), "see whether it runs and whether a firewall lets the daemon's addresses in (`GET /v1/egress` lists them)"})
	}
	return append(found, Finding{"guard", OK, d.host + " may be reached", ""}, Finding{"connect", OK, "connected to " + d.remote, ""})
}

// ofTLS judges a certificate.
func ofTLS(h handshake, now time.Time) Finding {
	f := Finding{Name: "tls", Level: Fail}
	until := "ends on " + h.expires.UTC().Format("2006-01-02 15:04 UTC")
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](h.err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](h.err)
	name, wrongName := errors.AsType[x509.HostnameError](h.err)
	_, isPlain := errors.AsType[tls.RecordHeaderError](h.err)
	switch {
	case isInvalid && invalid.Reason == x509.Expired && h.expires.Before(now):
		f.Message = fmt.Sprintf("the certificate of %s expired %s ago, on %s", h.host, days(now.Sub(h.expires)), h.expires.UTC().Format("2006-01-02 15:04 UTC"))
		f.Advice = "renew it there"
	case unknown:
		f.Message = "the certificate of " + h.host + " is signed by an authority that is not trusted"
		f.Advice = "have it send its intermediate certificates too, or name its CA in the settings (tls.ca, where the kind has it)"
	case wrongName:
		f.Message = fmt.Sprintf("the certificate of %s is for another name (%.200s)", h.host, strings.Join(name.Certificate.DNSNames, ", "))
		f.Advice = "use the name in the certificate, or have one issued for this name"
	case isPlain:
		f.Message = h.host + " does not speak TLS on this port"
		f.Advice = "see whether the port is right"
	case h.err != nil:
		f.Message = fmt.Sprintf("the TLS handshake with %s failed: %.300s", h.host, h.err)
		f.Advice = "see what its server accepts: version of TLS, client certificate"
	case h.expires.IsZero():
		f.Level, f.Message = OK, "TLS with "+h.host
	case h.expires.Sub(now) < soon:
		f.Level, f.Message = Warn, fmt.Sprintf("the certificate of %s %s, in %s", h.host, until, days(h.expires.Sub(now)))
		f.Advice = "renew it there before"
	default:
		f.Level, f.Message = OK, fmt.Sprintf("the certificate of %s %s, in %s", h.host, until, days(h.expires.Sub(now)))
	}
	return f
}

// ofOwn judges a certificate that we show. An expired one is only a remark: the far side decides
// whether to accept it, and the check has asked the far side.
func ofOwn(c *x509.Certificate, now time.Time) Finding {
	until := c.NotAfter.UTC().Format("2006-01-02 15:04 UTC")
	f := Finding{"tls", Warn, "", "put a new one with its key into the settings"}
	switch left := c.NotAfter.Sub(now); {
	case left < 0:
		f.Message = fmt.Sprintf("the client certificate in the settings expired %s ago, on %s", days(-left), until)
	case c.NotBefore.After(now):
		f.Message = "the client certificate in the settings is valid from " + c.NotBefore.UTC().Format("2006-01-02 15:04 UTC") + " on only"
		f.Advice = "until then use the one before"
	case left < soon:
		f.Message = fmt.Sprintf("the client certificate in the settings ends on %s, in %s", until, days(left))
	default:
		f = Finding{"tls", OK, fmt.Sprintf("the client certificate in the settings ends on %s, in %s", until, days(left)), ""}
	}
	return f
}

// ofAccess says what an error of the kind's own check means for deliveries.
func ofAccess(err error) Finding {
	f := Finding{Name: "access", Level: Fail, Message: err.Error()}
	class, _ := destination.ClassOf(err)
	switch {
	case errors.Is(err, destination.ErrEngine):
		f.Advice = "this is a fault of the daemon's own machine or payload store, not of the destination: see its log"
	case class == destination.Misconfigured:
		f.Advice = "mend the settings or the rights that it names; until then the destination would be held"
	case class == destination.Rejected:
		f.Advice = "mend what it names; a delivery that it refuses so is dead at its first attempt, and not retried"
	case class == destination.Throttled:
		f.Advice = "it asks to wait; deliveries would wait as long as it says"
	default:
		f.Advice = "check again later; deliveries would be tried again on their schedule"
	}
	return f
}

// days is "61 days", "1 day", or hours below two days.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
