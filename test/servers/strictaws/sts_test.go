package strictaws

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

const role = "arn:aws:iam::444455556666:role/delivery"

func (c client) assume(in sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
	in.RoleArn = aws.String(*in.RoleArn)
	if in.RoleSessionName == nil {
		in.RoleSessionName = aws.String("fantail")
	}
	return c.sts().AssumeRole(context.Background(), &in)
}

// session returns the client of a role.
func (c client) session(arn string) client {
	c.t.Helper()
	out, err := c.assume(sts.AssumeRoleInput{RoleArn: &arn})
	if err != nil {
		c.t.Fatal(err)
	}
	return c.as(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
}

func TestAssumeRole(t *testing.T) {
	s := New(t)
	s.AddRole(Role{ARN: role, ExternalID: "ext-1"})
	s.AddRole(Role{ARN: role + "-open"})
	c := newClient(t, s)
	for name, tt := range map[string]struct {
		in     sts.AssumeRoleInput
		answer string
	}{
		"good":                      {sts.AssumeRoleInput{RoleArn: aws.String(role), ExternalId: aws.String("ext-1")}, ""},
		"no external id":            {sts.AssumeRoleInput{RoleArn: aws.String(role)}, "403 AccessDenied"},
		"another external id":       {sts.AssumeRoleInput{RoleArn: aws.String(role), ExternalId: aws.String("ext-2")}, "403 AccessDenied"},
		"none needed":               {sts.AssumeRoleInput{RoleArn: aws.String(role + "-open")}, ""},
		"none needed but given":     {sts.AssumeRoleInput{RoleArn: aws.String(role + "-open"), ExternalId: aws.String("ext-2")}, ""},
		"no such role":              {sts.AssumeRoleInput{RoleArn: aws.String(role + "-none")}, "403 AccessDenied"},
		"external id with a space":  {sts.AssumeRoleInput{RoleArn: aws.String(role), ExternalId: aws.String("ext 1")}, "400 ValidationError"},
		"session name with a slash": {sts.AssumeRoleInput{RoleArn: aws.String(role + "-open"), RoleSessionName: aws.String("a/b")}, "400 ValidationError"},
		"a life too short":          {sts.AssumeRoleInput{RoleArn: aws.String(role + "-open"), DurationSeconds: aws.Int32(899)}, "400 ValidationError"},
		"a life too long":           {sts.AssumeRoleInput{RoleArn: aws.String(role + "-open"), DurationSeconds: aws.Int32(43201)}, "400 ValidationError"},
	} {
		_, err := c.assume(tt.in)
		want(t, name, err, tt.answer)
	}
	s.Deny("sts:AssumeRole")
	_, err := c.assume(sts.AssumeRoleInput{RoleArn: aws.String(role + "-open")})
	want(t, "denied", err, "403 AccessDenied")
}

func TestSessionsNeedTheirTokenAndEnd(t *testing.T) {
	s := New(t)
	s.AddBucket(Bucket{Name: "bucket"})
	s.AddRole(Role{ARN: role})
	s.AddRole(Role{ARN: role + "-brief", Life: time.Minute})
	c := newClient(t, s)
	out, err := c.assume(sts.AssumeRoleInput{RoleArn: aws.String(role), DurationSeconds: aws.Int32(900)})
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(*out.Credentials.Expiration); left < 14*time.Minute || left > 15*time.Minute {
		t.Errorf("the session lives %v, want a quarter of an hour", left)
	}
	key, secret, token := *out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken
	want(t, "a session", c.as(key, secret, token).put("x", "{}"), "")
	want(t, "without its token", c.as(key, secret, "").put("x", "{}"), "400 InvalidToken")
	want(t, "with another token", c.as(key, secret, token+"x").put("x", "{}"), "400 InvalidToken")
	want(t, "with another secret", c.as(key, "x", token).put("x", "{}"), "403 SignatureDoesNotMatch")
	brief := c.session(role + "-brief")
	s.Advance(2 * time.Minute)
	want(t, "a brief session after its end", brief.put("x", "{}"), "400 ExpiredToken")
	_, err = brief.sts().GetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{})
	want(t, "at STS", err, "403 ExpiredToken")
	want(t, "the other one", c.as(key, secret, token).put("x", "{}"), "")
}
