package gcs

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

func bind(t *testing.T, text string) (Config, error) {
	t.Helper()
	var c Config
	_, err := destination.Define("gcs", Definition().Traits, defaults, func(Config, destination.Deps) (destination.Destination, error) { return nil, nil }).Bind(func(into any) error {
		var n yaml.Node
		if err := yaml.Load([]byte(text), &n); err != nil {
			return err
		}
		err := n.Load(into, yaml.WithKnownFields())
		c = *into.(*Config)
		return err
	})
	return c, err
}

func TestSettings(t *testing.T) {
	c, err := bind(t, `
bucket: acme
layout: "{type}/{id}.json"
default_version: "2022-03-16"
gzip: true
storage_class: NEARLINE
kms_key: projects/p/locations/eu/keyRings/r/cryptoKeys/k
predefined_acl: projectPrivate
stale: fail
content: item
endpoint: http://127.0.0.1:4443
allow_http: true
anonymous: true
`)
	if err != nil || c.Bucket != "acme" || c.Layout != "{type}/{id}.json" || c.DefaultVersion != "2022-03-16" || !c.Gzip || !c.Anonymous || !c.AllowHTTP || c.Content != objectkey.ContentItem || c.NeedsAmbient() {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = bind(t, "bucket: acme"); err != nil || !c.NeedsAmbient() || c.Stale != objectkey.StaleOverwrite || c.Content != objectkey.ContentEvent || c.Layout == "" {
		t.Errorf("the defaults are %+v, %v", c, err)
	}
	for text, want := range map[string]string{
		"{}":                "bucket: is required",
		"bucket: gs://acme": "bucket: must be the name alone",
		"{bucket: acme, endpoint: https://storage.googleapis.com/acme}": "endpoint: must be a scheme and a host only, without the bucket",
		"{bucket: acme, endpoint: https://acme.storage.googleapis.com}": "endpoint: must not have the bucket in its host: write https://storage.googleapis.com",
		"{bucket: acme, credentials: hunter2}":                          "credentials: is not the JSON key",
		"{bucket: acme, storage_class: nearline}":                       "storage_class: must be one of STANDARD",
		"{bucket: acme, predefined_acl: publicRead}":                    "predefined_acl: must be one of private",
		"{bucket: acme, kms_key: k}":                                    "kms_key: must be projects/",
		"{bucket: acme, stale: keep}":                                   "stale: must be overwrite or fail",
		"{bucket: acme, content: all}":                                  "content: must be event or item",
		"{bucket: acme, layout: x}":                                     "layout: ",
		"{bucket: acme, buckets: x}":                                    "buckets",
		"{bucket: acme, endpoint: \"https://a.example\"}":               "endpoint: must be https below googleapis.com",
	} {
		if _, err := bind(t, text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestSecretsAreFound(t *testing.T) {
	var paths []string
	c := defaults()
	if err := secret.Walk(&c, func(path string, _ *secret.Value) error { paths = append(paths, path); return nil }); err != nil || len(paths) != 1 || paths[0] != "credentials" {
		t.Errorf("%q, %v", paths, err)
	}
	if Definition().Kind != "gcs" || Definition().Traits.Frozen || Definition().Traits.Timeout.Minutes() != 5 {
		t.Errorf("%+v", Definition().Traits)
	}
}
