package document

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// placeKeys are the keys, at whatever depth of settings, that say where a destination leads to,
// or how safely. Who may name another authority, or the role of another account, can stand in
// for the far side. A kind's key of another name that does so must be entered here; a test over
// all kinds checks that.
var placeKeys = []string{"url", "host", "port", "endpoint", "sts_endpoint", "queue", "api", "dsn", "mode", "server_name", "ca", "role_arn"}

// places returns where settings lead to, by the path of the key that says so.
func places(settings *yaml.Node) map[string]string {
	all := map[string]string{}
	var walk func(path string, n *yaml.Node, key string)
	walk = func(path string, n *yaml.Node, key string) {
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				// A key may have dots in it: two keys joined by a dot could look like one.
				walk(path+"\x00"+n.Content[i].Value, n.Content[i+1], n.Content[i].Value)
			}
		case yaml.SequenceNode:
			for i, e := range n.Content {
				walk(strictyaml.Index(path, i), e, key)
			}
		case yaml.ScalarNode:
			if slices.Contains(placeKeys, key) {
				all[path] = place(key, n.Value)
			}
		}
	}
	walk("", settings, "")
	return all
}

// samePlace tells whether settings lead to the same place as the ones before them. An address
// that is [redacted] stands for the one before it.
func samePlace(settings, before *yaml.Node) bool {
	now, then := places(settings), places(before)
	for path, where := range now {
		if where == secret.Redacted && then[path] != "" {
			now[path] = then[path]
		}
	}
	return maps.Equal(now, then)
}

// place is the part of an address that says where it leads: scheme, host and port
// of a URL; scheme, hosts and parameters of a DSN, of which sslmode is one; else all
// of it.
func place(key, value string) string {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok {
		return value
	}
	if u, err := url.Parse(value); key != "dsn" && err == nil && u.Scheme != "" && u.Host != "" {
		return strings.ToLower(u.Scheme + "://" + u.Host)
	}
	// Take it apart as the kinds that have DSNs do: net/url knows a single host.
	rest, params, _ := strings.Cut(rest, "?")
	rest, _, _ = strings.Cut(rest, "/")
	return strings.ToLower(scheme+"://"+rest[strings.LastIndexByte(rest, '@')+1:]) + "?" + params
}
