package integration

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/config"
)

// TestTheSettingsOfTheREADMEsAreSound: the settings for a developer's file in each kind's README are
// read without a fault and without a warning, and its policies are JSON.
func TestTheSettingsOfTheREADMEsAreSound(t *testing.T) {
	for name, value := range map[string]string{
		"SECRET": "0123456789abcdef", "KEY_ID": "AKIAIOSFODNN7EXAMPLE", "KEY": "a-key", "SECRET_KEY": "a-key", "SUPABASE_KEY": "a-key",
		"MYSQL": "mysql://fantail:password@db.acme.example:3306/acme", "POSTGRES": "postgres://fantail:password@db.acme.example:5432/acme",
	} {
		t.Setenv("FANTAIL_DEV_ACME_"+name, value)
	}
	block := regexp.MustCompile("(?s)```(\\w*)\n(.*?)```")
	for kind := range all.Destinations() {
		readme, err := os.ReadFile("../../destinations/" + kind + "/README.md")
		if err != nil {
			t.Fatal(err)
		}
		settings := 0
		for _, b := range block.FindAllStringSubmatch(string(readme), -1) {
			switch b[1] {
			case "yaml":
				settings++
				snap, err := config.Load(developersFile(t, b[2]), all.Destinations())
				if err != nil {
					t.Errorf("%s: %v", kind, err)
				} else if acme := snap.Developers["acme"]; len(acme.Destinations) != 1 || acme.Destinations[0].Kind != kind {
					t.Errorf("%s: the page shows %+v", kind, acme.Destinations)
				} else if len(snap.Notes) != 1 { // that there is no key yet
					t.Errorf("%s: %v", kind, snap.Notes)
				}
			case "json":
				if !json.Valid([]byte(b[2])) {
					t.Errorf("%s: no JSON: %s", kind, b[2])
				}
			}
		}
		if settings != 1 {
			t.Errorf("%s: %d examples of settings", kind, settings)
		}
	}
}

// developersFile writes a developer's file with these destinations, and returns
// the path of its fantail.yaml.
func developersFile(t *testing.T, destinations string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.MarshalIndent(map[string]string{"type": "service_account", "client_email": "fantail@acme.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"fantail.yaml":          "payloads: { dir: { path: data/payloads, public_url: https://events.example.com } }\n",
		"developers/acme.yaml":  "developer: acme\n" + strings.TrimSuffix(destinations, "\n") + "\n",
		"secrets/acme/gcs.json": string(account) + "\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "fantail.yaml")
}
