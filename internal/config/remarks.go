package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/netguard"
	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/internal/suggest"
	"github.com/seed-51f8da91/fantail/pkg/event/generate"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// knownTypes are the types of the contract, and the daemon's own.
var knownTypes = sync.OnceValue(func() []string {
	g, err := generate.New(1)
	if err != nil {
		return nil // a test of generate makes all of them
	}
	return append(g.Types(), noticeNames...)
})

// remarkPatterns notes patterns that hardly mean what they say. Types are the producer's own: an
// unknown one may be right, unless it looks like a slip.
func (b *binder) remarkPatterns(events []string, r *Rules) {
	types := slices.Concat(knownTypes(), r.Types)
	const stands = "* stands for any text, and every other character for itself"
	flagged := 0
	for i, p := range events {
		var why string
		switch {
		case strings.ContainsAny(p, `^|()[]{}\+?`):
			why = "is no regular expression: " + stands
		case slices.ContainsFunc(types, func(t string) bool { return matchPattern(p, t) }):
		case strings.Contains(p, "*"):
			why = "matches no type that is known, only such as the producer may have besides: " + stands
		default:
			if near := suggest.Closest(p, types); near != "" {
				why = "is no type that is known: did you mean " + near + "?"
			}
		}
		if why != "" {
			b.Note(strictyaml.LineOf(b.root, strictyaml.Index("events", i)), strictyaml.Index("events", i), why)
			flagged++
		}
	}
	if flagged > 0 && flagged == len(events) {
		b.Note(strictyaml.LineOf(b.root, "events"), "events", "no event that is known can reach this destination")
	}
}

// far is a host that settings name as an address, and where.
type far struct {
	line int
	path string
	host string // without the port
	url  *url.URL
}

// farKeys are keys of settings that say where to connect to.
var farKeys = []string{"url", "host", "endpoint", "sts_endpoint", "queue", "api", "dsn"}

// fars finds where the settings of a kind lead to, as far as they say so by an address or a URL.
// n is their node, and into what was bound from it.
func (b *binder) fars(n *yaml.Node, into any) (all []far) {
	add := func(line int, path, text string) {
		key := path[strings.LastIndexByte(path, '.')+1:]
		if !slices.Contains(farKeys, key) {
			return
		}
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			all = append(all, far{line, path, u.Hostname(), u})
			return
		}
		for host := range strings.SplitSeq(text, ",") {
			if name, _, err := net.SplitHostPort(host); err == nil {
				host = name
			}
			all = append(all, far{line: line, path: path, host: host})
		}
	}
	b.EachPlain(n, "settings", func(path string, line int, value string) { add(line, path, value) })
	_ = secret.Walk(into, func(at string, v *secret.Value) error {
		add(strictyaml.LineOf(n, at), strictyaml.Join("settings", at), v.Reveal())
		return nil
	})
	return all
}

// remarkFars notes hosts that every connection would be refused to, and webhooks that lead back
// to the daemon.
func (b *binder) remarkFars(all []far, r *Rules) {
	guard := netguard.Config{Allow: r.Allow, Deny: r.Deny}
	for _, f := range all {
		host := f.host
		if host == "localhost" {
			host = "127.0.0.1"
		}
		if f.url != nil && r.serves(f.url) {
			b.Note(f.line, f.path, "is this daemon's own API, which refuses deliveries: name the receiver")
			continue
		}
		address, err := netip.ParseAddr(host)
		if err != nil {
			continue
		}
		if why := guard.Refuses(address); why != "" {
			b.Note(f.line, f.path, "leads to "+why+", which no connection is made to: the operator may list it in egress.allow of fantail.yaml")
		}
	}
}

// serves tells whether u leads to the API of this daemon, as far as can be told
// without looking up names.
func (r *Rules) serves(u *url.URL) bool {
	if r.PublicURL != "" && strings.HasPrefix(u.Path, "/v1/") {
		if public, err := url.Parse(r.PublicURL); err == nil && public.Host != "" && strings.EqualFold(public.Host, u.Host) {
			return true
		}
	}
	host, port, err := net.SplitHostPort(r.Listen)
	if err != nil || port == "0" || port != portOf(u) {
		return false
	}
	listens, _ := netip.ParseAddr(host)
	asked, _ := netip.ParseAddr(u.Hostname())
	everywhere := host == "" || listens.IsUnspecified()
	switch {
	case strings.EqualFold(host, u.Hostname()):
		return true
	case u.Hostname() == "localhost":
		return everywhere || listens.IsLoopback()
	}
	return everywhere && asked.IsLoopback()
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// exposed says how far a file that holds a secret is open to every user of the
// machine, "" when it is not.
func exposed(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		return "can be changed by every user of this machine: chmod 640"
	case mode&0o004 != 0:
		return "can be read by every user of this machine: chmod 640"
	}
	return ""
}

// noteExposed returns look with a note for each file that every user of the machine can read.
func noteExposed(dir string, look strictyaml.Lookup, note func(string)) strictyaml.Lookup {
	return func(r strictyaml.Reference) ([]byte, error) {
		value, err := look(r)
		if err == nil && r.Scheme == "file" {
			if how := exposed(absolute(dir, r.Name)); how != "" {
				note(fmt.Sprintf("file %s %s", r.Name, how))
			}
		}
		return value, err
	}
}

// unheard notes developers whose events nobody may hand in: no token that may ingest is for them.
func (d *daemon) unheard(snap *Snapshot) (notes []Fault) {
	if len(d.file.Tokens) == 0 {
		return nil
	}
	heard := map[string]bool{}
	for _, t := range d.file.Tokens {
		switch {
		case !slices.Contains(t.May, "ingest"):
		case t.Developers == nil:
			return nil
		default:
			for _, id := range t.Developers {
				heard[id] = true
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(snap.Developers)) {
		if !heard[id] && len(snap.Developers[id].Destinations) > 0 {
			notes = append(notes, Fault{File: d.doc.File, Line: strictyaml.LineOf(d.doc.Root, "tokens"), Message: "tokens: none may hand in events of developer " + id + ": no event can reach their destinations"})
		}
	}
	return notes
}
