package sqs

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/ownbucket"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// TestWhatThePolicyLeavesOutIsNotNeeded, and what it grants is.
func TestWhatThePolicyLeavesOutIsNotNeeded(t *testing.T) {
	byURL := func(f *far) { f.config = func(c *Config) { c.Queue = f.url } }
	for _, tt := range []struct {
		right  string
		config func(*far)
		class  string
	}{
		{"sqs:SendMessage", byURL, "misconfigured"},
		{"sqs:GetQueueUrl", byURL, "sent"},
		{"sqs:GetQueueUrl", func(*far) {}, "misconfigured"},
		{"sqs:GetQueueAttributes", func(*far) {}, "sent"},
		{"sqs:ReceiveMessage", byURL, "sent"},
		{"s3:PutObject", byURL, "misconfigured"},
		{"s3:PutObjectAcl", byURL, "sent"},
		{"s3:ListBucket", byURL, "sent"},
		{"s3:DeleteObject", byURL, "sent"},
	} {
		f := newFar(t, "events", nil)
		tt.config(f)
		f.Deny(tt.right)
		if _, err := f.open(t).Send(context.Background(), sleep(t, 1)); classOf(err) != tt.class {
			t.Errorf("without %s: %s (%v), want %s", tt.right, classOf(err), err, tt.class)
		}
	}
	f := newFar(t, "events", nil)
	f.Deny("s3:GetObject") // the consumer's right is the sender's
	if _, err := f.open(t).Send(context.Background(), sleep(t, 1)); err != nil {
		t.Error(err)
	}
	if status, _, _ := fetch(decode(t, f.bodies()[0]).URL); status != 403 {
		t.Errorf("a link of somebody who may not read answers %d", status)
	}
}

// TestPayloadsMayLieAtGoogle: fake-gcs-server and a link signed by V4.
func TestPayloadsMayLieAtGoogle(t *testing.T) {
	server := servers.StartGCS(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "fantail@acme.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	f := newFar(t, "events", nil)
	f.config = func(c *Config) {
		c.Payloads = ownbucket.Settings{GCS: &gcp.BucketSettings{Bucket: server.Bucket(t), Access: gcp.Access{
			Endpoint: server.Endpoint, AllowHTTP: true, Anonymous: true, Credentials: secret.New(string(account)),
		}}}
	}
	d := f.open(t)
	x := sleep(t, 1)
	if _, err := d.Send(context.Background(), x); err != nil {
		t.Fatal(err)
	}
	p := decode(t, f.bodies()[0])
	if !strings.Contains(p.URL, "X-Goog-Signature=") || p.ExpiresIn != 600 {
		t.Errorf("%+v", p)
	}
	if status, body, err := fetch(p.URL); status != 200 || !bytes.Equal(body, x.Event.Body) {
		t.Errorf("the link answers %d %.300s %v", status, body, err)
	}
}
