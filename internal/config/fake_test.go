package config

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// fakeConfig is a kind's settings with one of everything that kinds use.
type fakeConfig struct {
	URL        string                  `yaml:"url"`
	Secret     secret.Value            `yaml:"secret"`
	NextSecret secret.Value            `yaml:"next_secret"`
	AllowHTTP  bool                    `yaml:"allow_http"`
	Headers    map[string]secret.Value `yaml:"headers"`
	Wait       time.Duration           `yaml:"wait"`
	Auth       *fakeAuth               `yaml:"auth"`
	Port       int                     `yaml:"port"`
	Hosts      []string                `yaml:"hosts"`
	Mode       fakeMode                `yaml:"mode"`
	At         time.Time               `yaml:"at"`
	From       netip.Addr              `yaml:"from"`
	Odd        fakeOdd                 `yaml:"odd"`
	Bucket     string                  `yaml:"bucket"`
	Cloud      bool                    `yaml:"cloud"` // without credentials
}

// NeedsAmbient and OwnPayloads are for kinds that use clouds.
func (c fakeConfig) NeedsAmbient() bool { return c.Cloud }
func (c fakeConfig) OwnPayloads() bool  { return c.Bucket != "" }

type fakeAuth struct {
	User     string       `yaml:"user"`
	Password secret.Value `yaml:"password"`
}

// Notes warns of a word that nobody means.
func (c fakeConfig) Notes() []string {
	if c.Mode == "fast" {
		return []string{"mode: is risky"}
	}
	return nil
}

// fakeMode reads its own text.
type fakeMode string

func (m *fakeMode) UnmarshalText(b []byte) error {
	if *m = fakeMode(b); *m != "fast" && *m != "safe" {
		return errors.New("must be fast or safe")
	}
	return nil
}

// ValidateBrand refuses a header of the brand.
func (c fakeConfig) ValidateBrand(brand string) error {
	if _, ok := c.Headers[brand]; ok {
		return fmt.Errorf("headers.%s: is set by the engine", brand)
	}
	return nil
}

// fakeOdd reads its own YAML.
type fakeOdd struct{ Secret secret.Value }

func (o *fakeOdd) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value == "odd" {
		return errors.New("must be even")
	}
	o.Secret = secret.New(n.Value)
	return nil
}

func (c fakeConfig) Validate() error {
	var errs []error
	if c.URL == "" {
		errs = append(errs, errors.New("url: is required"))
	} else if !strings.HasPrefix(c.URL, "https://") && !c.AllowHTTP {
		errs = append(errs, errors.New("url: must be https, or set allow_http: true"))
	}
	if c.Secret.IsZero() {
		errs = append(errs, errors.New("secret: is required"))
	}
	if c.Auth != nil && c.Auth.User == "" {
		errs = append(errs, errors.New("auth.user: is required"))
	}
	if c.Port < 0 {
		errs = append(errs, errors.New("ports below zero are no ports"))
	}
	return errors.Join(errs...)
}

// fake is an open destination that gives its settings away to the test.
type fake struct{ cfg fakeConfig }

func (f *fake) Send(context.Context, destination.Delivery) (destination.Receipt, error) {
	return destination.Receipt{}, nil
}
func (f *fake) Close() error { return nil }

func openFake(c fakeConfig, _ destination.Deps) (destination.Destination, error) {
	return &fake{c}, nil
}

// kinds has one kind that freezes settings, named as the real one, and one that does not.
func kinds() destination.Registry {
	defaults := func() fakeConfig { return fakeConfig{Mode: "safe"} }
	return destination.NewRegistry(
		destination.Define("webhook", destination.Traits{Frozen: true, Timeout: 30 * time.Second}, defaults, openFake),
		destination.Define("postgres", destination.Traits{Timeout: 5 * time.Minute}, defaults, openFake),
		destination.Define("sqs", destination.Traits{}, defaults, openFake),
		destination.Define("links", destination.Traits{Links: true}, defaults, openFake),
	)
}

// opened returns what a destination would be opened with.
func opened(t *testing.T, d *Destination) fakeConfig {
	t.Helper()
	got, err := d.Open(destination.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return got.(*fake).cfg
}

// folder writes files into a new folder with a key and returns the path of its fantail.yaml.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "fantail.key", "0123456789abcdef0123456789abcdef\n")
	write(t, dir, "fantail.yaml", "")
	if err := os.MkdirAll(filepath.Join(dir, "developers"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		write(t, dir, name, text)
	}
	return filepath.Join(dir, "fantail.yaml")
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// load loads settings that must have no faults.
func load(t *testing.T, path string) *Snapshot {
	t.Helper()
	snap, err := Load(path, kinds())
	if err != nil {
		t.Fatalf("faults:\n%v", err)
	}
	return snap
}

// acme is a small sound file of a developer.
const acme = `developer: acme
destinations:
  - name: app
    kind: webhook
    settings: { url: "https://acme.example/hooks", secret: "${env:FANTAIL_DEV_ACME_SECRET}" }
`
