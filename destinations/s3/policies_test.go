package s3

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

var jsonBlocks = regexp.MustCompile("(?s)```json\n(.*?)```")

// TestPoliciesOfTheREADME applies every policy of the page that is about a bucket
// as it is written, but for the bucket's name and, where it names one, the
// principal: versitygw judges bucket policies, whose statements are those of a
// user's.
func TestPoliciesOfTheREADME(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	g := startGateway(t)
	tried := 0
	for _, block := range jsonBlocks.FindAllStringSubmatch(string(page), -1) {
		policy := block[1]
		if !strings.Contains(policy, "s3:PutObject") {
			continue
		}
		tried++
		f := g.bucket(t)
		policy = strings.ReplaceAll(policy, "acme-health", f.name)
		named := strings.Contains(policy, "Principal")
		policy = strings.ReplaceAll(policy, `{"AWS": "arn:aws:iam::111122223333:role/fantail"}`, fmt.Sprintf("%q", f.UserAccessKey))
		if !named {
			policy = strings.ReplaceAll(policy, `{"Effect": "Allow",`, fmt.Sprintf(`{"Effect": "Allow", "Principal": %q,`, f.UserAccessKey))
		}
		if _, err := f.admin.PutBucketPolicy(t.Context(), &sdk.PutBucketPolicyInput{Bucket: &f.name, Policy: &policy}); err != nil {
			t.Fatalf("%v of %s", err, policy)
		}
		d := openWith(t, f.config, plainDeps(t))
		err := d.Check(t.Context())
		left := len(f.all(t))
		if writeOnly := !strings.Contains(policy, "s3:GetObject"); writeOnly {
			if _, ok := errors.AsType[destination.Remark](err); !ok || left != 1 {
				t.Errorf("write-only: check: %v, %d objects", err, left)
			}
		} else if err != nil || left != 0 {
			t.Errorf("check: %v, it leaves %d objects; with %s", err, left, policy)
		}
		for n := range 3 { // versions of one item
			send(t, d, fmt.Sprintf(activity, n, "a"))
		}
		// Nothing but the probe may be removed.
		_, err = d.client.DeleteObject(t.Context(), &sdk.DeleteObjectInput{Bucket: &f.name, Key: ptr(activityKey)})
		if err == nil {
			t.Errorf("objects may be deleted with %s", policy)
		}
	}
	if tried != 3 {
		t.Errorf("%d policies, want that of keys, of write-only keys and of a role", tried)
	}
}
