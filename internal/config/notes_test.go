package config

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"
)

// TestNotesAreOfEverySecret: the daemon's secrets and each of a kind's are looked at, however
// deep, whether they are written out or come from a variable or a file.
func TestNotesAreOfEverySecret(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_QUOTED", `"hunter2hunter2"`)
	path := folder(t, map[string]string{
		"fantail.yaml": "tracing: { endpoint: https://collector.example, headers: { authorization: \"Bearer hunter2 \" } }\n",
		"developers/acme.yaml": `
developer: acme
destinations:
  - name: app
    kind: webhook
    settings:
      url: https://acme.example
      secret: "${file:secrets/acme/two}"
      next_secret: "${env:FANTAIL_DEV_ACME_QUOTED}"
      mode: fast
      headers:
        X-Key: "$HUNTER2_KEY"
      auth:
        user: u
        password: "hunter2\u200b"
`,
		"secrets/acme/two": "hunter2\n\n",
	})
	snap := load(t, path)
	var got []string
	for _, n := range snap.Notes {
		if !strings.Contains(n.Message, "serve makes it") {
			got = append(got, n.Error()[strings.LastIndex(n.File, "/")+1:])
		}
		if strings.Contains(strings.ToLower(n.Error()), "hunter2") {
			t.Errorf("a secret is shown: %v", n)
		}
	}
	want := []string{
		"fantail.yaml:1: tracing.headers.authorization: begins or ends with a blank",
		"acme.yaml:8: destination app: settings.secret: begins or ends with a blank",
		"acme.yaml:9: destination app: settings.next_secret: stands in quotes",
		"acme.yaml:10: destination app: settings.mode: is risky",
		"acme.yaml:12: destination app: settings.headers.X-Key: looks like a name",
		"acme.yaml:15: destination app: settings.auth.password: has a character within",
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("notes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}

	// Thawing frozen settings repeats no notes.
	frozen, err := Thaw(snap.Find("acme", "app").Freeze(), kinds(), snap.Keys)
	if err != nil || frozen.Hash != snap.Find("acme", "app").Hash {
		t.Errorf("thaw: %v", err)
	}
}

func TestSecretsInUTF16AreRefused(t *testing.T) {
	for name, order := range map[string]binary.AppendByteOrder{"little": binary.LittleEndian, "big": binary.BigEndian} {
		for _, mark := range []string{"", "\ufeff"} {
			var raw []byte
			for _, c := range utf16.Encode([]rune(mark + "hunter2\r\n")) {
				raw = order.AppendUint16(raw, c)
			}
			path := folder(t, map[string]string{
				"developers/acme.yaml": "developer: acme\ndestinations:\n  - { name: app, kind: webhook, settings: { url: x, secret: \"${file:secrets/acme/key}\" } }\n",
				"secrets/acme/key":     string(raw),
			})
			if _, err := Load(path, kinds()); err == nil || !strings.Contains(err.Error(), "file secrets/acme/key is UTF-16: save it as UTF-8") {
				t.Errorf("%s %q: %v", name, mark, err)
			}
		}
	}
	for _, text := range []string{"s", "s3cret\n", "\x00abc", "\xff\xfe\xe4\xb8\xad\xe6\x96\x87"} {
		if inUTF16([]byte(text)) {
			t.Errorf("%q is taken for UTF-16", text)
		}
	}
}
