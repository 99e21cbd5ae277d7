package supabase

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// storage answers as storage-api 1.11.2 was recorded to: HTTP 400 for every
// error, whose true status is a text in the body.
type storage struct {
	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	objects map[string][]byte
	public  bool
	limit   int    // bytes; 0: none
	types   string // the only type that is taken; "": all
}

// validKey is what storage takes as the name of an object.
var validKey = regexp.MustCompile(`^(\w|/|!|-|\.|\*|'|\(|\)| |&|\$|@|=|;|:|\+|,|\?)*$`)

// Objects returns what a bucket holds.
func (p *Project) Objects(name string) map[string][]byte {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	if b := p.storage.buckets[name]; b != nil {
		return maps.Clone(b.objects)
	}
	return nil
}

// RenameBucket takes a bucket away, or brings it back.
func (p *Project) RenameBucket(from, to string) {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	if b := p.storage.buckets[from]; b != nil {
		delete(p.storage.buckets, from)
		p.storage.buckets[to] = b
	}
}

// Restrict sets what a bucket takes, and who may read it.
func (p *Project) Restrict(name string, public bool, limit int, types string) {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	b := p.storage.buckets[name]
	b.public, b.limit, b.types = public, limit, types
}

func (p *Project) store(w http.ResponseWriter, r *http.Request, path string, body []byte) {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	refuse := func(status, kind, code, message string) {
		write(w, http.StatusBadRequest, fmt.Sprintf(`{"statusCode":%q,"error":%q,"message":%q,"code":%q}`, status, kind, message, code))
	}
	kind, rest, _ := strings.Cut(path, "/")
	name, key, _ := strings.Cut(rest, "/")
	key, err := url.PathUnescape(key)
	b := p.storage.buckets[name]
	switch {
	case r.Header.Get("Authorization") != "Bearer "+p.Key:
		refuse("403", "Unauthorized", "AccessDenied", "jws error, the token was Bearer "+r.Header.Get("Authorization"))
	case b == nil && (kind == "object" || kind == "bucket"):
		refuse("404", "Bucket not found", "NoSuchBucket", "Bucket not found")
	case kind == "bucket" && r.Method == http.MethodGet && key == "":
		text, _ := json.Marshal(map[string]any{"id": name, "name": name, "owner": "", "public": b.public}) // always encodes
		write(w, http.StatusOK, string(text))
	case kind == "object" && r.Method == http.MethodGet && b.objects[key] == nil:
		refuse("404", "not_found", "NoSuchKey", "Object not found")
	case kind == "object" && r.Method == http.MethodGet:
		write(w, http.StatusOK, string(b.objects[key]))
	case kind != "object" || r.Method != http.MethodPost:
		write(w, http.StatusNotFound, `{"message":"Route `+r.Method+` not found","error":"Not Found","statusCode":"404"}`)
	case err != nil || key == "" || !validKey.MatchString(key):
		refuse("400", "InvalidKey", "InvalidKey", "Invalid key: "+key)
	case b.types != "" && b.types != r.Header.Get("Content-Type"):
		refuse("415", "invalid_mime_type", "InvalidMimeType", "mime type "+r.Header.Get("Content-Type")+" is not supported")
	case b.limit > 0 && len(body) > b.limit:
		refuse("413", "Payload too large", "EntityTooLarge", "The object exceeded the maximum allowed size")
	case b.objects[key] != nil && r.Header.Get("x-upsert") != "true":
		refuse("409", "Duplicate", "KeyAlreadyExists", "The resource already exists")
	default:
		b.objects[key] = body
		text, _ := json.Marshal(map[string]string{"Key": name + "/" + key, "Id": "8b1d6b5c-6a5a-4f0e-9d8c-0e6e8f0c2a11"}) // always encodes
		write(w, http.StatusOK, string(text))
	}
}
