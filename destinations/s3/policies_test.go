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
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
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

// TestPoliciesOfUsersAreEnoughAsTheyStand: those without a principal are given to
// a user at the strict server, word by word, and again without each right.
func TestPoliciesOfUsersAreEnoughAsTheyStand(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, block := range jsonBlocks.FindAllStringSubmatch(string(page), -1) {
		policy := block[1]
		if !strings.Contains(policy, "s3:PutObject") || strings.Contains(policy, "Principal") {
			continue
		}
		tried++
		for _, without := range []string{"", "s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket"} {
			s := startStrict(t, func(c *Config) { c.Bucket = "acme-health" })
			s.AddBucket(strictaws.Bucket{Name: "acme-health"})
			s.Grant(strictaws.AccessKey, policy)
			if without != "" {
				s.Deny(without)
			}
			d := openWith(t, s.config, plainDeps(t))
			check := d.Check(t.Context())
			_, noted := errors.AsType[destination.Remark](check)
			writeOnly := !strings.Contains(policy, "s3:GetObject")
			switch {
			case without == "s3:PutObject":
				if class, _ := destination.ClassOf(check); class != destination.Misconfigured {
					t.Errorf("without %s: %v", without, check)
				}
				continue
			case writeOnly, without == "s3:GetObject", without == "s3:DeleteObject":
				if !noted {
					t.Errorf("without %s: %v", without, check)
				}
			case check != nil:
				t.Errorf("without %q: %v", without, check)
			}
			for n := range 3 {
				send(t, d, fmt.Sprintf(activity, n, "a"))
			}
		}
	}
	if tried != 2 {
		t.Errorf("%d policies, want that of keys and that of write-only keys", tried)
	}
}

// TestTheTrustPolicyLetsNobodyElseIn: the role of the page, with its policies word
// by word but for the operator's principal, which is a user here, and the id.
func TestTheTrustPolicyLetsNobodyElseIn(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var trust, policy string
	for _, block := range jsonBlocks.FindAllStringSubmatch(string(page), -1) {
		switch {
		case strings.Contains(block[1], "sts:AssumeRole"):
			trust = strings.NewReplacer("arn:aws:iam::111122223333:role/fantail", strictaws.Account, `"..."`, `"`+testExternalID+`"`).Replace(block[1])
		case policy == "":
			policy = block[1]
		}
	}
	for id, want := range map[string]string{testExternalID: "", "another-id": "its trust policy must name our principal, with sts:ExternalId"} {
		s := startStrict(t, func(c *Config) { c.Bucket = "acme-health" })
		s.AddBucket(strictaws.Bucket{Name: "acme-health"})
		s.AddRole(strictaws.Role{ARN: testRole, Trust: trust})
		s.Grant(testRole, policy)
		s.config.Account.RoleARN, s.config.Account.ExternalID, s.config.Account.STSEndpoint = testRole, secret.New(id), s.URL
		d := openWith(t, s.config, plainDeps(t))
		_, err := d.Send(t.Context(), destinationtest.Delivery(t, 1, fmt.Appendf(nil, activity, 1, "a")))
		for _, err := range []error{d.Check(t.Context()), err} {
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("as %s: %v", id, err)
			}
		}
	}
}
