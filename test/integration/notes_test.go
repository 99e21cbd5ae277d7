package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/config"
)

// TestValidateWarnsOfTheSecretsOfEveryKind: each secret below has quotes that are part of it, as
// docker's --env-file leaves them, and every kind accepts it.
func TestValidateWarnsOfTheSecretsOfEveryKind(t *testing.T) {
	const quoted = `'"hunter2-hunter2-hunter2"'`
	settings := map[string]string{
		"webhook":  "url: https://a.example, secret: Q, next_secret: Q, rotate_at: 2030-01-01T00:00:00Z, headers: {X-Key: Q}, auth: {basic: {user: u, password: Q}}",
		"s3":       "bucket: acme, region: eu-west-1, access_key_id: Q, secret_access_key: Q, session_token: Q",
		"sqs":      "queue: acme, region: eu-west-1, access_key_id: Q, secret_access_key: Q, payloads: {s3: {bucket: acme, access_key_id: Q, secret_access_key: Q}}",
		"gcs":      "bucket: acme, endpoint: https://gcs.example, anonymous: true",
		"postgres": "host: db, user: u, database: d, password: Q, payloads: {s3: {bucket: acme, region: eu-west-1, access_key_id: Q, secret_access_key: Q}}",
		"mysql":    "host: db, user: u, database: d, password: Q, payloads: {s3: {bucket: acme, region: eu-west-1, access_key_id: Q, secret_access_key: Q}}",
		"supabase": "url: https://abc.supabase.co, service_role_key: Q, complete: {access_token: Q}",
	}
	dir := t.TempDir()
	var file strings.Builder
	file.WriteString("developer: acme\ndestinations:\n")
	want := 0
	for kind := range all.Destinations() {
		text, ok := settings[kind]
		if !ok {
			t.Errorf("no settings of the kind %s", kind)
		}
		want += strings.Count(text, "Q")
		file.WriteString("  - { name: " + kind + ", kind: " + kind + ", settings: {" + strings.ReplaceAll(text, "Q", quoted) + "} }\n")
	}
	for name, text := range map[string]string{"fantail.yaml": "{}", "developers/acme.yaml": file.String()} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	snap, err := config.Load(filepath.Join(dir, "fantail.yaml"), all.Destinations())
	if err != nil {
		t.Fatal(err)
	}
	notes := slices.DeleteFunc(snap.Notes, func(n config.Fault) bool { return !strings.Contains(n.Message, "in quotes") })
	if len(notes) != want {
		t.Errorf("%d warnings of %d secrets: %v", len(notes), want, notes)
	}
	for _, n := range snap.Notes {
		if strings.Contains(n.Error(), "hunter2") {
			t.Errorf("a secret is shown: %v", n)
		}
	}
}
