package strictaws

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// What puts may carry. Of metadata, S3 allows 2 KB in all.
var (
	putHeaders = []string{
		"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Md5", "If-Match", "If-None-Match",
		"X-Amz-Acl", "X-Amz-Checksum-Crc32", "X-Amz-Checksum-Crc32c", "X-Amz-Checksum-Sha256", "X-Amz-Expected-Bucket-Owner", "X-Amz-Meta-",
		"X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id",
		"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "X-Amz-Storage-Class",
	}
	storageClasses = []string{"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR", "EXPRESS_ONEZONE"}
	cannedACLs     = []string{"private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read", "bucket-owner-full-control"}
)

const (
	maxKey      = 1024
	maxMetadata = 2048
)

func invalidArgument(text string) *refusal {
	return &refusal{http.StatusBadRequest, "InvalidArgument", "", text}
}

func (s *Server) put(c *call, b *bucket, key string) *refusal {
	h := c.r.Header
	if f := s.unknownHeaders(c, putHeaders...); f != nil {
		return f
	}
	if f := s.allowed(c, "s3:PutObject", b.resource(key)); f != nil {
		return f
	}
	if len(key) > maxKey || !utf8.ValidString(key) {
		return &refusal{http.StatusBadRequest, "KeyTooLongError", "", "Your key is too long"}
	}
	o := &Object{
		Key: key, ContentType: h.Get("Content-Type"), ContentEncoding: h.Get("Content-Encoding"), StorageClass: h.Get("X-Amz-Storage-Class"), ACL: h.Get("X-Amz-Acl"),
		Metadata: map[string]string{}, Body: c.body, ETag: etag(c.body), Modified: s.now(),
	}
	size := 0
	for name, values := range h {
		if meta, ok := strings.CutPrefix(name, "X-Amz-Meta-"); ok {
			o.Metadata[strings.ToLower(meta)] = strings.Join(values, ",")
			size += len(meta) + len(strings.Join(values, ","))
		}
	}
	switch {
	case size > maxMetadata:
		return &refusal{http.StatusBadRequest, "MetadataTooLarge", "", "Your metadata headers exceed the maximum allowed metadata size"}
	case o.StorageClass != "" && !slices.Contains(storageClasses, o.StorageClass):
		return &refusal{http.StatusBadRequest, "InvalidStorageClass", "", "The storage class you specified is not valid"}
	case o.ACL != "" && !slices.Contains(cannedACLs, o.ACL):
		return invalidArgument("The canned ACL is not valid")
	}
	if o.ACL != "" {
		if f := s.allowed(c, "s3:PutObjectAcl", b.resource(key)); f != nil {
			return f
		}
	}
	for _, check := range []func(*call, *bucket, *Object) *refusal{s.lacks, s.checksums, s.encrypt, s.conditions} {
		if f := check(c, b, o); f != nil {
			return f
		}
	}
	if b.Versioned {
		o.Version = s.nextID()
		b.versions[o.Version] = true
		c.w.Header().Set("X-Amz-Version-Id", o.Version)
	}
	b.objects[key] = o
	c.w.Header().Set("ETag", o.ETag)
	if o.Encryption != "" {
		c.w.Header().Set("X-Amz-Server-Side-Encryption", o.Encryption)
	}
	return nil
}

// lacks refuses what the bucket does not take, or what services other than S3 do not.
func (s *Server) lacks(c *call, b *bucket, o *Object) *refusal {
	h := c.r.Header
	conditional := h.Get("If-None-Match")+h.Get("If-Match") != ""
	switch {
	case b.NoACLs && o.ACL != "" && o.ACL != "bucket-owner-full-control":
		return &refusal{http.StatusBadRequest, "AccessControlListNotSupported", "", "The bucket does not allow ACLs"}
	case b.NoConditions && conditional:
		return &refusal{http.StatusNotImplemented, "NotImplemented", "", "A header you provided implies functionality that is not implemented"}
	case b.NoChecksums && h.Get("X-Amz-Checksum-Sha256") != "":
		return invalidArgument("Unsupported header 'x-amz-checksum-sha256' received for this API call.")
	case b.IgnoresConditions:
		h.Del("If-None-Match")
		h.Del("If-Match")
	}
	return nil
}

func (s *Server) checksums(c *call, _ *bucket, o *Object) *refusal {
	sum := func(table *crc32.Table) string {
		return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(o.Body, table)))
	}
	sha, md := sha256.Sum256(o.Body), md5.Sum(o.Body)
	for name, want := range map[string]string{
		"X-Amz-Checksum-Crc32":  sum(crc32.IEEETable),
		"X-Amz-Checksum-Crc32c": sum(crc32.MakeTable(crc32.Castagnoli)),
		"X-Amz-Checksum-Sha256": base64.StdEncoding.EncodeToString(sha[:]),
		"Content-Md5":           base64.StdEncoding.EncodeToString(md[:]),
	} {
		if got := c.r.Header.Get(name); got != "" && got != want {
			return &refusal{http.StatusBadRequest, "BadDigest", "", "The " + name + " you specified did not match what we received."}
		}
	}
	return nil
}

// encrypt checks what the headers say of encryption at rest.
func (s *Server) encrypt(c *call, b *bucket, o *Object) *refusal {
	h := c.r.Header
	o.Encryption, o.KMSKey = h.Get("X-Amz-Server-Side-Encryption"), h.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id")
	switch {
	case b.RequireKMS && o.Encryption != "aws:kms":
		return &refusal{http.StatusForbidden, "AccessDenied", "", "User: " + c.who.arn + " is not authorized to perform: s3:PutObject on resource: \"" + b.resource(o.Key) + "\" with an explicit deny in a resource-based policy"}
	case o.Encryption != "" && o.Encryption != "AES256" && o.Encryption != "aws:kms":
		return &refusal{http.StatusBadRequest, "InvalidEncryptionAlgorithmError", "", "The encryption request that you specified is not valid. Supported value: AES256, aws:kms"}
	case o.KMSKey != "" && o.Encryption != "aws:kms":
		return invalidArgument("Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
	case o.Encryption != "aws:kms":
		return nil
	case o.KMSKey != "" && !slices.Contains(b.KMSKeys, o.KMSKey):
		return &refusal{http.StatusBadRequest, "KMS.NotFoundException", "", "Key '" + o.KMSKey + "' does not exist"}
	}
	return s.allowed(c, "kms:GenerateDataKey", o.KMSKey)
}

func (s *Server) conditions(c *call, b *bucket, o *Object) *refusal {
	none, match := c.r.Header.Get("If-None-Match"), c.r.Header.Get("If-Match")
	there := b.objects[o.Key]
	failed := &refusal{http.StatusPreconditionFailed, "PreconditionFailed", "", "At least one of the pre-conditions you specified did not hold"}
	switch {
	case none != "" && match != "":
		return &refusal{http.StatusNotImplemented, "NotImplemented", "", "A header you provided implies functionality that is not implemented"}
	case none != "" && none != "*":
		return &refusal{http.StatusNotImplemented, "NotImplemented", "", "If-None-Match of a put takes only *"}
	case none == "*" && there != nil:
		return failed
	case match == "":
		return nil
	}
	// A put that compares an object's ETag needs the right to read the object.
	if f := s.allowed(c, "s3:GetObject", b.resource(o.Key)); f != nil {
		return f
	}
	switch {
	case there == nil:
		return &refusal{http.StatusNotFound, "NoSuchKey", "", "The specified key does not exist."}
	case there.ETag != match:
		return failed
	}
	return nil
}

func etag(body []byte) string {
	sum := md5.Sum(body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}
