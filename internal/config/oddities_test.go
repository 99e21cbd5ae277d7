package config

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"
)

func TestOddities(t *testing.T) {
	const mark, ends, hides, slash, quotes, name = "byte order mark", "begins or ends with a blank", "does not show", "backslash", "in quotes", "nobody replaced"
	for text, want := range map[string][]string{
		"s3cret": nil, "s": nil, "p:w \u00fc\u2713 x": nil, "a'b\"c": nil, "'": nil, "a\\nb": nil, "$": nil, "$2b$10$x": nil, "$ecret": nil, "100%": nil, "a<b>": nil,
		"postgres://u:p%40@db:5432/d": nil, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": nil, "file": nil, "{x}": nil,
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n": nil, "\n-----BEGIN RSA PRIVATE KEY-----\nx\n": nil,
		"{\n  \"type\": \"service_account\"\n}\n": nil, `{"a":"$ACME_SECRET"}`: nil, "{ \"a\": 1 }": nil,

		"\ufeffs3cret": {mark}, "\ufeff-----BEGIN CERTIFICATE-----\n": {mark}, "\ufeff s": {mark, ends},
		"s3cret\n": {ends}, "s3cret\n\n": {ends}, "s3cret\r\n": {ends}, "s3cret ": {ends}, " s3cret": {ends}, "\ts3cret": {ends}, "s3cret\u00a0": {ends}, " ": {ends},
		"s3\ncret": {hides}, "s3\x00cret": {hides}, "s3\u200bcret": {hides}, "s3\u00a0cret": {hides}, "s3\u00adcret": {hides}, "s3cret\ufeff": {hides}, "s3\x1bcret": {hides},
		`s3cret\n`: {slash}, `s3cret\r\n`: {slash}, `s3cret\n` + "\n": {ends, slash},
		`"s3cret"`: {quotes}, "'s3cret'": {quotes}, "`s3cret`": {quotes}, `""`: {quotes}, `"s3cret" `: {ends, quotes},
		"$ACME_SECRET": {name}, "${ACME_SECRET}": {name}, "$acme_secret": {name}, `"$ACME_SECRET"`: {quotes, name}, "%ACME_SECRET%": {name}, "$(pass acme)": {name},
		"{{ .Secret }}": {name}, "<secret>": {name}, "env:ACME_SECRET": {name}, "file:secrets/acme": {name}, "$ACME_SECRET\n": {ends, name},
		"\xff\xfes3": {"is not UTF-8"}, "s3\xe9cret": {"is not UTF-8"},
	} {
		got := oddities(text)
		ok := len(got) == len(want)
		for i := range min(len(got), len(want)) {
			ok = ok && strings.Contains(got[i], want[i])
		}
		if !ok || strings.Contains(strings.Join(got, ""), "s3cret") {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestNotesAreOfEverySecret: of the daemon's, and of each of a kind's, however
// deep, whether it is written out or comes from a variable or a file.
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

	// Frozen settings are what was said of once.
	frozen, err := Thaw(snap.Find("acme", "app").Freeze(), kinds(), snap.Keys)
	if err != nil || frozen.Hash != snap.Find("acme", "app").Hash {
		t.Errorf("thaw: %v", err)
	}
}

func TestSecretsInUTF16AreRefused(t *testing.T) {
	for name, order := range map[string]binary.AppendByteOrder{"little": binary.LittleEndian, "big": binary.BigEndian} {
		for _, mark := range []string{"", byteOrderMark} {
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
