package sqs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// policies are those of the page, in order: of an identity, for a key, of a queue,
// of a role.
func policies(t *testing.T) (all []string) {
	t.Helper()
	for _, b := range strings.Split(readme(t), "```json\n")[1:] {
		if text, _, _ := strings.Cut(b, "```"); strings.Contains(text, `"Statement"`) {
			all = append(all, text)
		}
	}
	if len(all) != 4 {
		t.Fatalf("the page has %d policies", len(all))
	}
	return all
}

// What the page's policies name.
const (
	acme       = "123456789012"
	acmeKey    = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	acmeBucket = "acme-payloads"
	fantail    = "111122223333"
	pageID     = "the-external-id"
)

// asOnThePage is a queue and a bucket by the names of the page; encrypted gives the
// queue a key.
func asOnThePage(t *testing.T, encrypted bool, policy string) *far {
	f := newFar(t, "events", nil)
	f.Region = "eu-west-1"
	f.AddUser(strictaws.User{AccessKey: "ACME", SecretKey: "secret-of-acme", Account: acme})
	f.AddUser(strictaws.User{AccessKey: "FANTAIL", SecretKey: "secret-of-fantail", Account: fantail})
	f.AddBucket(strictaws.Bucket{Name: acmeBucket})
	q := strictaws.Queue{Account: acme, Policy: policy}
	if encrypted {
		q.KMSKey = acmeKey
	}
	f.add(q)
	return f
}

// byKey is the page's first case: a key of the queue's own account.
func byKey(f *far) {
	f.config = func(c *Config) {
		c.AccessKeyID, c.SecretAccessKey = secret.New("ACME"), secret.New("secret-of-acme")
		c.Payloads.S3.Bucket, c.Payloads.S3.Settings = acmeBucket, c.Settings
	}
}

// byRole is a role of our account that sends to a queue of the customer's.
func byRole(trust string) func(*far) {
	return func(f *far) {
		role := "arn:aws:iam::" + fantail + ":role/fantail"
		f.AddRole(strictaws.Role{ARN: role, Trust: trust})
		f.config = func(c *Config) {
			c.Account = acme
			c.AccessKeyID, c.SecretAccessKey = secret.New("FANTAIL"), secret.New("secret-of-fantail")
			c.RoleARN, c.ExternalID, c.STSEndpoint = role, secret.New(pageID), f.URL
			c.Payloads.S3.Bucket, c.Payloads.S3.Settings = acmeBucket, c.Settings
		}
	}
}

// outcome is what the check and a delivery come to.
func outcome(t *testing.T, f *far) (check, send string, says string) {
	t.Helper()
	d := f.open(t)
	err := d.Check(context.Background())
	if check = classOf(err); err == nil {
		check = "fine"
	} else if _, ok := errors.AsType[destination.Remark](err); ok {
		check = "remark"
	}
	x := sleep(t, 1)
	_, sent := d.Send(context.Background(), x)
	if send = classOf(sent); sent == nil {
		p := decode(t, f.bodies()[0])
		if status, body, err := fetch(p.URL); status != 200 || string(body) != string(x.Event.Body) {
			send = fmt.Sprintf("sent with a link that answers %d %v", status, err)
		}
	}
	return check, send, fmt.Sprint(err, "\n", sent)
}

// TestThePoliciesOfTheREADME as they are written: with them all passes, and without
// any right in them what the page says fails.
func TestThePoliciesOfTheREADME(t *testing.T) {
	p := policies(t)
	identity, kms, queue, trust := p[0], p[1], p[2], p[3]
	all := func(f *far) {
		byKey(f)
		f.Grant("ACME", identity, kms)
	}
	foreign := func(identity, kms, trust string) func(*far) {
		return func(f *far) {
			byRole(trust)(f)
			f.Grant("arn:aws:iam::"+fantail+":role/fantail", identity, kms)
		}
	}
	without := func(document, right string) string {
		out := strings.NewReplacer(`"`+right+`", `, ``, `, "`+right+`"`, ``).Replace(document)
		if out == document {
			t.Fatalf("no policy grants %s", right)
		}
		return out
	}
	for _, tt := range []struct {
		name        string
		encrypted   bool
		queue       string // its policy
		who         func(*far)
		check, send string
		says        string
	}{
		{"the key's account", false, "", all, "fine", "sent", ""},
		{"a KMS key", true, "", all, "remark", "sent", acmeKey},
		{"nothing for the KMS key", true, "", func(f *far) { byKey(f); f.Grant("ACME", identity) }, "remark", "misconfigured", "grant kms:GenerateDataKey and kms:Decrypt"},
		{"no kms:Decrypt", true, "", func(f *far) { byKey(f); f.Grant("ACME", identity, without(kms, "kms:Decrypt")) }, "remark", "misconfigured", "kms:Decrypt"},
		{"no sqs:SendMessage", false, "", func(f *far) { byKey(f); f.Grant("ACME", without(identity, "sqs:SendMessage")) }, "misconfigured", "misconfigured", "grant sqs:SendMessage on arn:aws:sqs:eu-west-1:" + acme + ":events"},
		{"no sqs:GetQueueUrl", false, "", func(f *far) { byKey(f); f.Grant("ACME", without(identity, "sqs:GetQueueUrl")) }, "misconfigured", "misconfigured", "grant sqs:GetQueueUrl"},
		{"no sqs:GetQueueAttributes", false, "", func(f *far) { byKey(f); f.Grant("ACME", without(identity, "sqs:GetQueueAttributes")) }, "remark", "sent", "grant sqs:GetQueueAttributes"},
		{"no s3:PutObject", false, "", func(f *far) { byKey(f); f.Grant("ACME", without(identity, "s3:PutObject")) }, "", "misconfigured", "s3:PutObject"},
		{"no s3:GetObject", false, "", func(f *far) { byKey(f); f.Grant("ACME", without(identity, "s3:GetObject")) }, "", "sent with a link that answers 403 <nil>", ""},
		{"another account", false, queue, foreign(identity, kms, trust), "fine", "sent", ""},
		{"another account's KMS key", true, queue, foreign(identity, kms, trust), "remark", "sent", acmeKey},
		{"another account without a policy", false, "", foreign(identity, kms, trust), "misconfigured", "misconfigured", `"Principal":{"AWS":"arn:aws:iam::` + fantail + `:role/fantail"}`},
		{"another account that does not let us send", false, without(queue, "sqs:SendMessage"), foreign(identity, kms, trust), "misconfigured", "misconfigured", "grant sqs:SendMessage"},
		{"another account's policy alone", false, queue, foreign(without(identity, "sqs:SendMessage"), kms, trust), "misconfigured", "misconfigured", "grant sqs:SendMessage"},
		{"another external id", false, queue, foreign(identity, kms, strings.Replace(trust, pageID, "another", 1)), "misconfigured", "misconfigured", "its trust policy must name our principal"},
		{"trust in somebody else", false, queue, foreign(identity, kms, strings.Replace(trust, "user/fantail", "user/else", 1)), "misconfigured", "misconfigured", "its trust policy must name our principal"},
	} {
		f := asOnThePage(t, tt.encrypted, tt.queue)
		tt.who(f)
		check, send, said := outcome(t, f)
		if tt.check != "" && check != tt.check || send != tt.send || !strings.Contains(said, tt.says) {
			t.Errorf("%s: the check is %s and the delivery %s, want %s and %s, saying %q: %s", tt.name, check, send, tt.check, tt.send, tt.says, said)
		}
	}
}

// codes is the page's table of codes.
func codes() string {
	var lines []string
	at := map[string]int{}
	for _, m := range meanings {
		code := "`" + m.code + "`"
		if m.says != "" {
			code += " with \"" + m.says + "\""
		}
		class := m.class.String()
		if m.size {
			class += ", or rejected"
		}
		rest := " | " + class + " | " + strings.ReplaceAll(m.advice, "|", `\|`) + " |"
		if i, ok := at[rest]; ok && i == len(lines)-1 {
			lines[i] = strings.TrimSuffix(lines[i], rest) + ", " + code + rest
			continue
		}
		at[rest] = len(lines)
		lines = append(lines, "| "+code+rest)
	}
	return "| code | class | what to do |\n|---|---|---|\n" + strings.Join(lines, "\n") + "\n"
}

// TestTheREADMEHasEveryCode: the table of the page is that of the program.
func TestTheREADMEHasEveryCode(t *testing.T) {
	if want := codes(); !strings.Contains(readme(t), "\n"+want+"\n") {
		t.Errorf("README.md should have:\n%s", want)
	}
}
