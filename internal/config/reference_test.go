package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReferenceText(t *testing.T) {
	for _, c := range []struct{ text, ref, literal string }{
		{"plain", "", "plain"},
		{"$", "", "$"}, {"$$", "", "$$"}, {"$x", "", "$x"}, {"}{", "", "}{"},
		{"$${env:X}", "", "${env:X}"},
		{"$$${", "", "$${"},
		{"a$${b}c$${", "", "a${b}c${"},
		{"${env:X_1}", "env:X_1", ""},
		{"${file:a/b c.txt}", "file:a/b c.txt", ""},
	} {
		ref, literal, err := parseReference(c.text)
		if got := strings.Trim(ref.String(), ":"); err != nil || got != c.ref || literal != c.literal {
			t.Errorf("%q: %q, %q, %v", c.text, got, literal, err)
		}
	}
	for _, text := range []string{"${", "${x}", "${env:}", "${env:1X}", "${env:A B}", "${env:X} ", " ${env:X}", "${env:X", "${env:X}${env:X}", "${file:}", "${file:${env:X}}", "${ENV:X}", "$${x}${"} {
		if ref, literal, err := parseReference(text); err == nil {
			t.Errorf("%q: %v, %q", text, ref, literal)
		} else if strings.Contains(err.Error(), "1X") {
			t.Errorf("%q is quoted: %v", text, err)
		}
	}
}

func TestOneNewlineIsTrimmed(t *testing.T) {
	for text, want := range map[string]string{"a\n": "a", "a\r\n": "a", "a": "a", "a\n\n": "a\n", "a \n": "a ", "a\r": "a\r", "\na\n": "\na"} {
		path := folder(t, map[string]string{
			"developers/acme.yaml":  strings.Replace(acme, "${env:FANTAIL_DEV_ACME_SECRET}", "${file:secrets/acme/deep/key}", 1),
			"secrets/acme/deep/key": text,
		})
		if got := opened(t, load(t, path).Find("acme", "app")).Secret.Reveal(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// A mounted volume of secrets is a tree of links within itself.
func TestLinksWithinTheFolderAreFollowed(t *testing.T) {
	path := folder(t, map[string]string{
		"developers/acme.yaml":   strings.Replace(acme, "${env:FANTAIL_DEV_ACME_SECRET}", "${file:secrets/acme/key}", 1),
		"secrets/acme/..v1/key":  "s3cret",
		"secrets/acme/unrelated": "x",
	})
	dir := filepath.Join(filepath.Dir(path), "secrets/acme")
	for link, to := range map[string]string{"..data": "..v1", "key": "..data/key"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if got := opened(t, load(t, path).Find("acme", "app")).Secret.Reveal(); got != "s3cret" {
		t.Errorf("secret %q", got)
	}
}

func TestVariablesBelongToOneDeveloper(t *testing.T) {
	owners := envOwners{}
	for _, id := range []string{"a", "a-b", "c.d", "c_d", "e"} {
		owners.add(id)
	}
	for _, c := range []struct {
		developer, name, why string
	}{
		{"a", "FANTAIL_DEV_A_SECRET", ""},
		{"a", "FANTAIL_DEV_A_BC", ""},
		{"a", "FANTAIL_DEV_A_B", ""},
		{"a", "FANTAIL_DEV_A_B_SECRET", "belongs to developer a-b"},
		{"a-b", "FANTAIL_DEV_A_B_SECRET", ""},
		{"a-b", "FANTAIL_DEV_A_SECRET", "not this developer's"},
		{"c.d", "FANTAIL_DEV_C_D_SECRET", "share the prefix"},
		{"c_d", "FANTAIL_DEV_C_D_SECRET", "share the prefix"},
		{"e", "FANTAIL_DEV_ESECRET", "not this developer's"},
		{"e", "fantail_dev_e_secret", "not this developer's"},
		{"e", "PATH", "not this developer's"},
		{"e", "FANTAIL_TOKEN", "not this developer's"},
	} {
		err := owners.allow(c.developer, c.name)
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s, %s: %v, want %q", c.developer, c.name, err, c.why)
		}
	}
}

// A developer whose file is not even YAML still owns his variables.
func TestBrokenFileKeepsItsVariables(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_EU_SECRET", "s3cret")
	path := folder(t, map[string]string{
		"developers/acme.yaml":    strings.Replace(acme, "FANTAIL_DEV_ACME_SECRET", "FANTAIL_DEV_ACME_EU_SECRET", 1),
		"developers/acme-eu.yaml": "developer: [",
	})
	snap, err := Load(path, kinds())
	if err == nil || snap.Broken["acme"] == nil || snap.Broken["acme-eu"] == nil {
		t.Errorf("%v", err)
	}
}

func TestOperatorReferences(t *testing.T) {
	t.Setenv("FANTAIL_TEST_TOKEN", "0123456789abcdef-env")
	other := t.TempDir()
	write(t, other, "token", "0123456789abcdef-file\n")
	snap := load(t, folder(t, map[string]string{"fantail.yaml": `
listen: 192.0.2.7:443
tokens:
  - { name: a, value: "${env:FANTAIL_TEST_TOKEN}", may: [ingest] }
  - { name: b, value: "${file:` + other + `/token}", may: [read, operate], developers: [nobody] }
egress: { proxy: "${file:proxy}", allow: [127.0.0.0/8, "::1"], deny: [10.0.0.0/8], source: [192.0.2.7] }
`, "proxy": "http://u:p@proxy.example:3128\n"}))
	d := snap.Daemon
	if d.Tokens[0].Value.Reveal() != "0123456789abcdef-env" || d.Tokens[1].Value.Reveal() != "0123456789abcdef-file" || d.Egress.Proxy.Reveal() != "http://u:p@proxy.example:3128" {
		t.Error("references are not resolved")
	}
	if len(d.Egress.Allow) != 2 || d.Egress.Allow[1].String() != "::1/128" || len(d.Egress.Deny) != 1 || len(d.Egress.Source) != 1 {
		t.Errorf("egress: %+v", d.Egress)
	}
	if len(snap.Notes) != 2 || !strings.Contains(snap.Notes[0].Message, "in clear") || !strings.Contains(snap.Notes[1].Message, "no developer nobody") {
		t.Errorf("notes: %v", snap.Notes)
	}
}
