package strictaws

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Object is what a bucket holds.
type Object struct {
	Key, ContentType, ContentEncoding, ETag string
	StorageClass, ACL                       string
	Encryption, KMSKey                      string
	Version                                 string            // "" but in a versioned bucket
	Metadata                                map[string]string // names in lower case, without x-amz-meta-
	Body                                    []byte
	Modified                                time.Time
}

type bucket struct {
	Bucket
	objects  map[string]*Object
	versions map[string]bool // of all objects, those that are gone from sight and markers of deletion included
}

// AddBucket makes an empty bucket, and empties one of that name.
func (s *Server) AddBucket(b Bucket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.Region == "" {
		b.Region = s.Region
	}
	if b.Owner == "" {
		b.Owner = Account
	}
	s.buckets[b.Name] = &bucket{b, map[string]*Object{}, map[string]bool{}}
}

// RemoveBucket makes a bucket missing.
func (s *Server) RemoveBucket(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.buckets, name)
}

// Versions returns how many versions and markers of deletion a versioned bucket has.
func (s *Server) Versions(bucket string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.buckets[bucket].versions)
}

// Object returns an object, whatever the permissions.
func (s *Server) Object(bucket, key string) (Object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.buckets[bucket]; b != nil && b.objects[key] != nil {
		return *b.objects[key], true
	}
	return Object{}, false
}

// Objects returns all objects of a bucket, sorted by key.
func (s *Server) Objects(bucket string) (all []Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.buckets[bucket]; b != nil {
		for _, o := range b.objects {
			all = append(all, *o)
		}
	}
	slices.SortFunc(all, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// PutObject stores an object as somebody else would, without a request.
func (s *Server) PutObject(bucket string, o Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.ETag == "" {
		o.ETag = etag(o.Body)
	}
	o.Modified = s.now()
	s.buckets[bucket].objects[o.Key] = &o
}

func s3Operation(r *http.Request) string {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch r.Method {
	case http.MethodPut:
		if key != "" {
			return "PutObject"
		}
	case http.MethodGet:
		if key != "" {
			return "GetObject"
		}
	case http.MethodHead:
		if key != "" {
			return "HeadObject"
		}
		return "HeadBucket"
	case http.MethodDelete:
		if key != "" {
			return "DeleteObject"
		}
	}
	return ""
}

// s3Parameters of the query, besides those of a link.
var s3Parameters = []string{
	"x-id", "versionId", "x-amz-checksum-mode", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Security-Token",
	"response-content-type", "response-content-disposition",
}

func (s *Server) s3(c *call, operation string) *refusal {
	query := c.r.URL.Query()
	for name := range query {
		if !slices.Contains(s3Parameters, name) {
			return s.strange("unknown parameter of %s: %s", operation, name)
		}
	}
	if id := query.Get("x-id"); id != "" && id != operation {
		return s.strange("x-id=%s in a %s", id, operation)
	}
	name, key, _ := strings.Cut(strings.TrimPrefix(c.r.URL.Path, "/"), "/")
	b := s.buckets[name]
	if b == nil {
		return &refusal{http.StatusNotFound, "NoSuchBucket", "", "The specified bucket does not exist"}
	}
	if f := b.wrongRegion(c); f != nil {
		return f
	}
	if b.RequesterPays && c.who.account != b.Owner {
		return &refusal{http.StatusForbidden, "AccessDenied", "", "Access Denied"} // nobody says why
	}
	if owner := c.r.Header.Get("X-Amz-Expected-Bucket-Owner"); owner != "" && owner != b.Owner {
		return &refusal{http.StatusForbidden, "AccessDenied", "", "Access Denied"}
	}
	switch operation {
	case "HeadBucket":
		if f := s.unknownHeaders(c, "X-Amz-Expected-Bucket-Owner"); f != nil {
			return f
		}
		c.w.Header().Set("X-Amz-Bucket-Region", b.Region)
		return s.allowed(c, "s3:ListBucket", "arn:aws:s3:::"+name)
	case "PutObject":
		return s.put(c, b, key)
	case "DeleteObject":
		if f := s.unknownHeaders(c, "X-Amz-Expected-Bucket-Owner"); f != nil {
			return f
		}
		return s.remove(c, b, key, query.Get("versionId"))
	}
	return s.get(c, b, key)
}

// remove serves DeleteObject. Without a version, a versioned bucket hides the object behind a marker.
func (s *Server) remove(c *call, b *bucket, key, version string) *refusal {
	right := "s3:DeleteObject"
	if version != "" {
		right = "s3:DeleteObjectVersion"
	}
	if f := s.allowed(c, right, b.resource(key)); f != nil {
		return f
	}
	if o := b.objects[key]; version == "" || o != nil && o.Version == version {
		delete(b.objects, key)
	}
	if delete(b.versions, version); b.Versioned && version == "" {
		b.versions[s.nextID()] = true
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (b *bucket) resource(key string) string { return "arn:aws:s3:::" + b.Name + "/" + key }

func (b *bucket) wrongRegion(c *call) *refusal {
	if c.sig.region == b.Region {
		return nil
	}
	c.w.Header().Set("X-Amz-Bucket-Region", b.Region)
	if b.Redirects {
		return &refusal{http.StatusMovedPermanently, "PermanentRedirect", "", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."}
	}
	return &refusal{http.StatusBadRequest, "AuthorizationHeaderMalformed", "", "The authorization header is malformed; the region '" + c.sig.region + "' is wrong; expecting '" + b.Region + "'"}
}

// get serves GetObject and HeadObject.
func (s *Server) get(c *call, b *bucket, key string) *refusal {
	known := []string{"Accept", "If-None-Match", "Range", "X-Amz-Checksum-Mode", "X-Amz-Expected-Bucket-Owner"}
	if f := s.unknownHeaders(c, known...); f != nil {
		return f
	}
	if f := s.allowed(c, "s3:GetObject", b.resource(key)); f != nil {
		return f
	}
	o := b.objects[key]
	if o == nil {
		if f := s.allowed(c, "s3:ListBucket", "arn:aws:s3:::"+b.Name); f != nil {
			return f // whether it is there is a secret, too
		}
		return &refusal{http.StatusNotFound, "NoSuchKey", "", "The specified key does not exist."}
	}
	if o.Encryption == "aws:kms" && c.r.Method == http.MethodGet { // metadata is not encrypted
		if f := s.allowed(c, "kms:Decrypt", o.KMSKey); f != nil {
			return f
		}
	}
	h := c.w.Header()
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	query := c.r.URL.Query()
	set("Content-Type", o.ContentType)
	set("Content-Type", query.Get("response-content-type"))
	set("Content-Disposition", query.Get("response-content-disposition"))
	set("Content-Encoding", o.ContentEncoding)
	set("ETag", o.ETag)
	set("X-Amz-Version-Id", o.Version)
	set("Last-Modified", o.Modified.Format(http.TimeFormat))
	set("X-Amz-Server-Side-Encryption", o.Encryption)
	set("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", o.KMSKey)
	if o.StorageClass != "STANDARD" {
		set("X-Amz-Storage-Class", o.StorageClass)
	}
	for name, value := range o.Metadata {
		h.Set("X-Amz-Meta-"+name, value)
	}
	if c.r.Header.Get("If-None-Match") == o.ETag {
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if c.r.Header.Get("Range") != "" {
		return s.strange("ranges are not served")
	}
	h.Set("Content-Length", strconv.Itoa(len(o.Body)))
	_, _ = c.w.Write(o.Body)
	return nil
}
