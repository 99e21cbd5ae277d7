package strictyaml

import (
	"strings"
	"testing"
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
