package webhook

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Receivers commonly refuse more than 8 KiB of headers; ours need some of it.
const (
	maxHeaders     = 50
	maxHeaderBytes = 6 << 10
)

// reserved says why a header is not the developer's to set, by canonical name.
var reserved = map[string]string{
	"Host":                "is made from url",
	"Connection":          "belongs to the connection",
	"Keep-Alive":          "belongs to the connection",
	"Proxy-Authenticate":  "belongs to the connection",
	"Proxy-Authorization": "belongs to the connection",
	"Proxy-Connection":    "belongs to the connection",
	"Te":                  "belongs to the connection",
	"Trailer":             "belongs to the connection",
	"Transfer-Encoding":   "belongs to the connection",
	"Upgrade":             "belongs to the connection",
	"Http2-Settings":      "belongs to the connection",
	"Expect":              "changes how the body is sent",
	"Accept-Encoding":     "would make the answer's excerpt unreadable",
	// Receivers recognise and permit the sender by it, so that no tenant may
	// pass for somebody else.
	"User-Agent": "names the engine",
	"Dev-Id":     "is set by the engine",
	"Hook-Type":  "is set by the engine",
}

// checkHeaders names every fault of the developer's own headers.
func checkHeaders(headers map[string]secret.Value, auth bool) (faults []error) {
	if len(headers) > maxHeaders {
		faults = append(faults, fmt.Errorf("headers: has %d entries, more than %d", len(headers), maxHeaders))
	}
	var size int
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		value := headers[name].Reveal()
		size += len(name) + len(value)
		if !isToken(name) {
			faults = append(faults, fmt.Errorf("headers: %.100q is not the name of a header", name))
			continue
		}
		key := http.CanonicalHeaderKey(name)
		if err := checkHeader(key, value, auth); err != nil {
			faults = append(faults, fmt.Errorf("headers.%s: %w", name, err))
		}
		if twin, twice := seen[key]; twice {
			faults = append(faults, fmt.Errorf("headers.%s: is the same header as %s", name, twin))
		}
		seen[key] = name
	}
	if size > maxHeaderBytes {
		faults = append(faults, fmt.Errorf("headers: have %d bytes, more than %d", size, maxHeaderBytes))
	}
	return faults
}

func checkHeader(key, value string, auth bool) error {
	if why, ok := reserved[key]; ok {
		return errors.New(why)
	}
	switch {
	case strings.HasPrefix(key, "Content-"):
		return errors.New("describes the body, which is sent as it is")
	case strings.HasPrefix(key, "Webhook-"), ofBrand(key, "terra"):
		return errors.New("is set by the engine")
	case key == "Authorization" && auth:
		return errors.New("is set by auth: choose one")
	case value == "":
		return errors.New("is empty")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return errors.New("has control characters, such as a line's end")
	}
	return nil
}

// ofBrand tells whether a canonical name is one of the engine's own headers.
func ofBrand(key, brand string) bool {
	prefix := http.CanonicalHeaderKey(brand + "-")
	return strings.HasPrefix(key, prefix) || strings.HasPrefix(key, "X-"+prefix)
}

// isToken tells whether s may be the name of a header (RFC 9110, 5.6.2).
func isToken(s string) bool {
	const marks = "!#$%&'*+-.^_`|~"
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune(marks, r)
	})
}
