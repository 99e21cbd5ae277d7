package s3

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// action is what a request needs the right to.
type action string

const (
	putting action = "s3:PutObject"
	reading action = "s3:GetObject"
)

// fault makes a classified error of what a request for key ended with; nil of nil.
func (b *bucket) fault(what action, key string, err error) error {
	if err == nil {
		return nil
	}
	text := fmt.Sprintf("%s %s", map[action]string{putting: "store", reading: "look at"}[what], key)
	if advice := b.advice(what, key, err); advice != "" && !aws.NoCredentials(err) {
		return b.session.Fail(destination.Misconfigured, text+" ("+advice+")", err)
	}
	return b.session.Classify(text, err)
}

// status is what S3 answered; 0 if it was not asked.
func status(err error) int {
	if aws.NoCredentials(err) {
		return 0
	}
	return aws.Status(err)
}

var regionForm = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// advice says what to do about an answer that every event would get, where
// this kind knows better than what AWS services have in common.
func (b *bucket) advice(what action, key string, err error) string {
	bucket := *b.common.Bucket
	switch code := aws.Code(err); code {
	case "AccessDenied", "Forbidden":
		return b.denied(what, b.said(key, err))
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return b.elsewhere(aws.Header(err, "X-Amz-Bucket-Region"))
	case "NoSuchBucket":
		return "there is no bucket " + bucket + ": create it, or mend bucket, region or endpoint"
	case "InvalidStorageClass":
		return "mend storage_class"
	case "AccessControlListNotSupported":
		return "the bucket's owner owns all objects in it: leave acl out"
	case "InvalidEncryptionAlgorithmError", "InvalidEncryptionMethod":
		return "mend sse and kms_key_id"
	case "KMS.NotFoundException":
		return "kms_key_id names no key in region " + b.region
	case "KMS.DisabledException":
		return "enable the key kms_key_id names"
	}
	switch status(err) {
	case http.StatusMovedPermanently:
		return b.elsewhere(aws.Header(err, "X-Amz-Bucket-Region"))
	case http.StatusNotFound:
		return "nothing answers for bucket " + bucket + ": mend bucket, endpoint or path_style"
	case http.StatusNotImplemented:
		return "the service does not know a header: leave acl, storage_class, sse or expected_bucket_owner out"
	}
	return ""
}

// said returns the service's own words of err, without what it repeats of ours: a
// part of the key comes from the event, and a bucket may be called acme-retention.
func (b *bucket) said(key string, err error) string {
	words := strings.Fields(strings.ReplaceAll(aws.Message(err), key, ""))
	return strings.Join(slices.DeleteFunc(words, func(w string) bool {
		return strings.Contains(w, "/") || strings.Contains(w, "arn:") || strings.Trim(w, `"'.,;:()`) == *b.common.Bucket
	}), " ")
}

// denied says which right is missing. message is only searched: S3 names the
// action there, if not always.
func (b *bucket) denied(what action, message string) string {
	resource := "arn:aws:s3:::" + *b.common.Bucket + "/*"
	switch {
	case strings.Contains(message, "kms:Decrypt"):
		return "grant kms:Decrypt on the encryption key, in its policy and to these credentials"
	case strings.Contains(message, "kms:"):
		return "grant kms:GenerateDataKey on the encryption key, in its policy and to these credentials"
	case strings.Contains(message, "s3:PutObjectAcl"):
		return "grant s3:PutObjectAcl on " + resource + ", or leave acl out"
	case strings.Contains(message, "explicit deny"):
		return "a policy denies " + string(what) + " on " + resource + ": see the bucket's policy for what it asks of puts, such as sse, acl or where they come from"
	}
	advice := "grant " + string(what) + " on " + resource + " to these credentials, in their policy or the bucket's"
	if b.common.ACL != "" {
		advice += "; with acl also s3:PutObjectAcl"
	}
	if b.common.ExpectedBucketOwner != nil {
		advice += "; or expected_bucket_owner is not who owns it"
	}
	if message == "Access Denied" { // all that S3 says across accounts
		advice += "; or the bucket makes requesters pay, which who delivers does not"
	}
	return advice
}

func (b *bucket) elsewhere(region string) string {
	if regionForm.MatchString(region) {
		return "the bucket is in another region: set region: " + region
	}
	return "the bucket is in another region: set region to where it is"
}
