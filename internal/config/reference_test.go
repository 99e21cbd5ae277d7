package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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

// The name of a variable says whose it is. Other developers whose names are spelled alike can
// take the right to it away, and never get it themselves.
func TestVariablesBelongToOneDeveloper(t *testing.T) {
	names := namesakes{}
	for _, id := range []string{"a", "a-b", "c.d", "c_d", "e", "f-"} {
		names.add(id)
	}
	for _, c := range []struct {
		developer, name, why string
	}{
		{"a", "FANTAIL_DEV_A_SECRET", ""},
		{"a", "FANTAIL_DEV_A_B_SECRET", ""},
		{"a", "FANTAIL_DEV_A_B__SECRET", ""},
		{"a", "FANTAIL_DEV_A_", ""},
		{"a", "FANTAIL_DEV_A", "may name only FANTAIL_DEV_A_*"},
		{"a", "FANTAIL_DEV_A__B_SECRET", "call it FANTAIL_DEV_A_B_SECRET"},
		{"a", "FANTAIL_DEV_A__", "may name only FANTAIL_DEV_A_*"},
		{"a-b", "FANTAIL_DEV_A__B_SECRET", ""},
		{"a-b", "FANTAIL_DEV_A_B_SECRET", "call it FANTAIL_DEV_A__B_SECRET"},
		{"a-b", "FANTAIL_DEV_A_SECRET", "may name only FANTAIL_DEV_A__B_*"},
		{"c.d", "FANTAIL_DEV_C__D_SECRET", "developers c.d and c_d, whose names are written alike in variables: use files under secrets/c.d/"},
		{"c_d", "FANTAIL_DEV_C__D_SECRET", "use files under secrets/c_d/"},
		{"e", "FANTAIL_DEV_ESECRET", "not this developer's"},
		{"e", "fantail_dev_e_secret", "not this developer's"},
		{"e", "PATH", "not this developer's"},
		{"e", "FANTAIL_TOKEN", "not this developer's"},
		{"f-", "FANTAIL_DEV_F___SECRET", ""},
		{"f", "FANTAIL_DEV_F___SECRET", "call it FANTAIL_DEV_F_SECRET"},
	} {
		err := names.allow(c.developer, c.name)
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s, %s: %v, want %q", c.developer, c.name, err, c.why)
		}
		// A developer without others owns no more than that.
		alone := namesakes{}
		alone.add(c.developer)
		if err := alone.allow(c.developer, c.name); err == nil && c.why != "" && !strings.Contains(c.why, "alike") && !strings.Contains(c.why, "secrets/") {
			t.Errorf("%s, %s: allowed when nobody else is there", c.developer, c.name)
		}
	}
}

// A new developer gets no variable of an existing one: not by a longer name, not by a file that
// cannot be read, not by a name that is spelled alike.
func TestNewcomerTakesNoVariables(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_WEBHOOK_SECRET", "s3cret")
	of := func(id, variable string) string {
		return strings.NewReplacer("developer: acme", "developer: "+id, "FANTAIL_DEV_ACME_SECRET", variable).Replace(acme)
	}
	path := folder(t, map[string]string{"developers/acme.yaml": of("acme", "FANTAIL_DEV_ACME_WEBHOOK_SECRET")})
	load(t, path)
	dir := filepath.Dir(path)
	for name, text := range map[string]string{
		"a longer name": of("acme-webhook", "FANTAIL_DEV_ACME_WEBHOOK_SECRET"), "a broken file": "developer: [", "a name alone": "developer: acme-webhook\n",
	} {
		write(t, dir, "developers/acme-webhook.yaml", text)
		snap, _ := Load(path, kinds())
		if snap.Find("acme", "app") == nil || snap.Find("acme-webhook", "app") != nil {
			t.Errorf("%s: broken %v", name, snap.Broken)
		}
	}
}

// Who began with an older version is told the new name of each variable, even of variables that
// no file names any more.
func TestFormerVariablesAreNamedWithTheirNewNames(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_EU_SECRET", "s3cret")
	files := map[string]string{
		"developers/acme.yaml":    "developer: acme\n",
		"developers/acme-eu.yaml": strings.NewReplacer("developer: acme", "developer: acme-eu", "FANTAIL_DEV_ACME_SECRET", "FANTAIL_DEV_ACME_EU_SECRET").Replace(acme),
	}
	snap, err := Load(folder(t, files), kinds())
	if err == nil || !strings.Contains(err.Error(), "acme-eu.yaml:5: destination app: settings.secret: environment variable FANTAIL_DEV_ACME_EU_SECRET is not this developer's") ||
		!strings.Contains(err.Error(), "call it FANTAIL_DEV_ACME__EU_SECRET, here and where it is set") {
		t.Errorf("faults: %v", err)
	}
	if len(snap.Notes) != 1 || !strings.Contains(snap.Notes[0].Message, "FANTAIL_DEV_ACME_EU_SECRET is called as those of developer acme-eu were formerly: if it is theirs, call it FANTAIL_DEV_ACME__EU_SECRET") {
		t.Errorf("notes: %v", snap.Notes)
	}
	if strings.Contains(err.Error()+Faults(snap.Notes).Error(), "s3cret") {
		t.Error("a secret is shown")
	}
	t.Setenv("FANTAIL_DEV_ACME__EU_SECRET", "s3cret")
	files["developers/acme-eu.yaml"] = strings.ReplaceAll(files["developers/acme-eu.yaml"], "ACME_EU", "ACME__EU")
	if snap := load(t, folder(t, files)); len(snap.Notes) != 1 {
		t.Errorf("notes: %v", snap.Notes)
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
