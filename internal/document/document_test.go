package document

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// hook is a kind with a secret in every way to have one.
type hook struct {
	URL        string                  `yaml:"url"`
	Host       string                  `yaml:"host"`
	DSN        secret.Value            `yaml:"dsn"`
	Secret     secret.Value            `yaml:"secret"`
	NextSecret secret.Value            `yaml:"next_secret"`
	RotateAt   time.Time               `yaml:"rotate_at"`
	Headers    map[string]secret.Value `yaml:"headers"`
	Inner      struct {
		Key  secret.Value `yaml:"key"`
		Port int          `yaml:"port"`
	} `yaml:"inner"`
	Keys    []secret.Value `yaml:"keys"`
	CA      secret.Value   `yaml:"ca"`
	RoleARN string         `yaml:"role_arn"`
}

func (hook) Validate() error { return errors.New("nothing is judged here") }

type plainKind struct {
	Name string `yaml:"name"`
}

func (plainKind) Validate() error { return nil }

func kinds() destination.Registry {
	return destination.NewRegistry(
		destination.Define("hook", destination.Traits{}, func() hook { return hook{} }, func(hook, destination.Deps) (destination.Destination, error) { return nil, nil }),
		destination.Define("plain", destination.Traits{}, func() plainKind { return plainKind{} }, func(plainKind, destination.Deps) (destination.Destination, error) { return nil, nil }),
	)
}

const whole = `# the secret was hunter2-comment
developer: acme
destinations:
  - name: app # hunter2-aside
    kind: hook
    events: [sleep, "lab_report.*"]
    timeout: 30s
    retry: { waits: [1s, 5m], passwort: hunter2-in-retry }
    settings:
      url: https://acme.example/hooks?to=1
      dsn: postgres://acme:hunter2-dsn@db.example,db2.example:5433/app
      secret: hunter2-secret
      headers: { X-Key: hunter2-header, "X.Dotted": hunter2-dotted }
      inner: { key: 12345678, port: 80 }
      keys: [hunter2-k1, "${env:FANTAIL_DEV_ACME_KEY}"]
      sekret: hunter2-typo
      rotate_at: 2030-01-02T03:04:05Z
    passwort: hunter2-wrong-level
  - name: lost
    kind: hookk
    settings: { url: "https://hunter2-unknown-kind.example" }
  - hunter2-no-mapping
  - name: { a: hunter2-nested }
    kind: hook
    events: [sleep, [hunter2-list]]
    retry: hunter2-no-retry
  - name: old
    kind: hook
    settings: { url: "https://user:hunter2-url@acme.example/", host: "hunter2.example" }
notes: { a: [hunter2-deep] }
`

func read(t *testing.T, text string) *strictyaml.Document {
	t.Helper()
	d := Read("acme", []byte(text), strings.HasPrefix(text, "{"))
	if d.Root == nil || !d.Sound() {
		t.Fatalf("%s\n%v", text, d.Faults())
	}
	return d
}

// asYAML writes a document and checks that it reads as the same.
func asYAML(t *testing.T, root *yaml.Node) string {
	t.Helper()
	b, err := YAML(root)
	if err != nil {
		t.Fatal(err)
	}
	again := read(t, string(b))
	if got, want := string(JSON(again.Root)), string(JSON(root)); got != want {
		t.Errorf("written as\n%s\nand read as\n%s\nwant\n%s", b, got, want)
	}
	return string(b)
}

func TestRedactedShowsNoSecretWhereverItStands(t *testing.T) {
	doc := read(t, whole)
	out := Redact(doc.Root, kinds())
	text := asYAML(t, out) + string(JSON(out))
	if strings.Contains(text, "hunter2-") || strings.Contains(text, "12345678") {
		t.Errorf("shows a secret:\n%s", text)
	}
	for _, want := range []string{"name: app", "kind: hook", "lab_report.*", "timeout: 30s", "- 5m", "https://acme.example/hooks?to=1", "port: 80",
		"${env:FANTAIL_DEV_ACME_KEY}", "hunter2.example", "'2030-01-02T03:04:05Z'", "X-Key: '[redacted]'"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(string(JSON(doc.Root)), secret.Redacted) {
		t.Error("the document itself was changed")
	}
}

func TestWhatIsWrittenHasNoComment(t *testing.T) {
	if text := asYAML(t, read(t, whole).Root); strings.Contains(text, "hunter2-comment") || strings.Contains(text, "hunter2-aside") || !strings.Contains(text, "hunter2-secret") {
		t.Errorf("kept:\n%s", text)
	}
}

// A text comes back as it was, whatever it looks like.
func TestWrittenReadsAsTheSame(t *testing.T) {
	const quote = `"yes", "no", "null", "~", "", "123", "1e3", "0x1f", "2030-01-02", "[redacted]", "- a", "# b", "a: b", "a #b", "\ta", " a ", "a\nb", "a\n", "\n", "\"'", "\\", "\u0001", "é", "\ud83d\ude00", "<<", "!x", "*x", "&x", "%x", "@x", "` + "`" + `x", "a\r\nb", "\u2028", "\u0085", "\ufeff", "----", "..."`
	asYAML(t, read(t, `{"developer": "acme", "destinations": [{"name": "a", "settings": {"keys": [`+quote+`]}}]}`).Root)
	for _, value := range strings.Split(quote, ", ") {
		asYAML(t, read(t, `{"a": `+value+`, `+`"b": [1, 2.5, true, false, 1e3, -0]}`).Root)
	}
	pem := "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
	root := New("acme")
	entry := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	set(entry, "name", "app")
	set(entry, "pem", pem)
	Put(root, "app", entry)
	if text := asYAML(t, root); !strings.Contains(text, "pem: |") {
		t.Errorf("a certificate is hard to read:\n%s", text)
	}
}

func TestFaultsInJSONHaveTheirLine(t *testing.T) {
	for text, want := range map[string]string{
		"{\n\"a\": 1,\n\"a\": 2}":              "acme:3: a is there twice",
		"{\n\n\"a\": null}":                    "acme:3: a has no value",
		"{\n\"a\": 1,\n}":                      "acme:3: not JSON",
		"{\"a\": \"hunter2":                    "acme:1: not JSON",
		"[1]":                                  "acme:1: the file must be a mapping",
		"{} {}":                                "acme:1: not JSON",
		strings.Repeat(`{"a":`, 40) + "1":      "acme:1: the text is nested deeper than 32 levels",
		strings.Repeat("[", 1<<20):             "acme:1: the text is nested deeper",
		"{\"a\": \"\xff\"}":                    "acme:1: the text is not UTF-8",
		"{" + strings.Repeat(" ", 1<<20) + "}": "acme:1: the file is larger than 1 MiB",
	} {
		d := Read("acme", []byte(text), true)
		if got := strictyaml.Faults(d.Faults()).Error(); !strings.HasPrefix(got, want) || strings.Contains(got, "hunter2") {
			t.Errorf("%.40q: %s, want %s", text, got, want)
		}
	}
}

func TestRedactedKeepsItsValueOnlyWhileThePlaceIsTheSame(t *testing.T) {
	stored := read(t, `{"developer": "acme", "destinations": [{"name": "app", "kind": "hook", "settings": {
		"url": "https://acme.example:8443/hooks", "secret": "old-secret", "headers": {"X-Key": "old-key", "x.y": "old-dotted"},
		"dsn": "postgres://u:old-password@db1.example,db2.example:5433/app", "keys": ["old-k0", "old-k1"], "inner": {"port": 80}}},
		{"name": "other", "kind": "plain", "settings": {"name": "x"}}]}`)
	const marker = `"[redacted]"`
	for name, c := range map[string]struct {
		settings string
		want     string // in the fault; "": none
	}{
		"as it was":              {`"url": "https://acme.example:8443/hooks", "secret": M, "headers": {"X-Key": M, "x.y": M}, "dsn": M, "keys": [M, M], "inner": {"port": 80}`, ""},
		"another path":           {`"url": "https://acme.example:8443/other?x=1", "secret": M, "dsn": M, "inner": {"port": 80}`, ""},
		"other things change":    {`"url": "https://Acme.example:8443/hooks", "secret": M, "headers": {"X-New": "new"}, "dsn": M, "inner": {"port": 80}`, ""},
		"the same hosts":         {`"url": "https://acme.example:8443/hooks", "secret": M, "dsn": "postgres://v:new@db1.example,db2.example:5433/other", "inner": {"port": 80}`, ""},
		"another host":           {`"url": "https://evil.example:8443/hooks", "secret": M, "dsn": M, "inner": {"port": 80}`, ":2: destination app: settings.secret: is [redacted], and the destination leads elsewhere now"},
		"another port":           {`"url": "https://acme.example/hooks", "secret": M, "dsn": M, "inner": {"port": 80}`, "leads elsewhere"},
		"another scheme":         {`"url": "http://acme.example:8443/hooks", "secret": M, "dsn": M, "inner": {"port": 80}`, "leads elsewhere"},
		"a user that looks like": {`"url": "https://acme.example:8443@evil.example/hooks", "secret": M, "dsn": M, "inner": {"port": 80}`, "leads elsewhere"},
		"another port beside it": {`"url": "https://acme.example:8443/hooks", "secret": M, "dsn": M, "inner": {"port": 81}`, "leads elsewhere"},
		"an address less":        {`"url": "https://acme.example:8443/hooks", "secret": M, "inner": {"port": 80}`, "leads elsewhere"},
		"an address more":        {`"url": "https://acme.example:8443/hooks", "host": "evil.example", "secret": M, "dsn": M, "inner": {"port": 80}`, "leads elsewhere"},
		"other hosts of a dsn":   {`"url": "https://acme.example:8443/hooks", "secret": M, "dsn": "postgres://u:p@evil.example,db2.example:5433/app", "inner": {"port": 80}`, "settings.secret: is [redacted], and the destination leads elsewhere"},
		"where none was":         {`"url": "https://acme.example:8443/hooks", "secret": M, "next_secret": M, "dsn": M, "inner": {"port": 80}`, "settings.next_secret: is [redacted], and no secret is stored here"},
		"another header":         {`"url": "https://acme.example:8443/hooks", "secret": M, "headers": {"X-Other": M}, "dsn": M, "inner": {"port": 80}`, "settings.headers.X-Other: is [redacted], and no secret is stored here"},
		"a longer list":          {`"url": "https://acme.example:8443/hooks", "secret": M, "keys": ["a", "b", M], "dsn": M, "inner": {"port": 80}`, "settings.keys[2]: is [redacted], and no secret"},
		"no secret at all":       {`"url": M, "secret": M, "dsn": M, "inner": {"port": 80}`, "settings.url: is no secret that is kept"},
		"a plain value is asked": {`"url": "https://acme.example:8443/hooks", "secret": M, "headers": {"X-Key": M}, "dsn": M, "inner": {"port": M}`, "inner.port: is no secret"},
		"a part of it":           {`"url": "https://acme.example:8443/hooks", "secret": "Bearer [redacted]", "dsn": M, "inner": {"port": 80}`, "settings.secret: has [redacted] in it"},
		"an unknown key":         {`"url": "https://acme.example:8443/hooks", "sekret": M, "dsn": M, "inner": {"port": 80}`, "settings.sekret: is no secret"},
	} {
		t.Run(name, func(t *testing.T) {
			doc := read(t, `{"developer": "acme", "destinations": [{"name": "app", "kind": "hook", "settings": {`+"\n"+strings.ReplaceAll(c.settings, "M", marker)+"}}]}")
			Keep(doc, stored.Root, kinds())
			got := strictyaml.Faults(doc.Faults()).Error()
			if c.want == "" && got != "" || c.want != "" && !strings.Contains(got, c.want) {
				t.Errorf("faults %s, want %s", got, c.want)
			}
			if strings.Contains(got, "old-") {
				t.Errorf("a fault shows a secret: %s", got)
			}
			if text := string(JSON(doc.Root)); c.want == "" && (strings.Contains(text, secret.Redacted) || !strings.Contains(text, "old-secret")) {
				t.Errorf("not all was kept: %s", text)
			} else if strings.Contains(c.want, "elsewhere") && strings.Contains(text, "old-") {
				t.Errorf("a secret went along: %s", text)
			}
		})
	}
	for name, entry := range map[string]string{
		"another kind":          `{"name": "app", "kind": "plain", "settings": {"name": "[redacted]"}}`,
		"another destination":   `{"name": "new", "kind": "hook", "settings": {"url": "https://acme.example:8443/hooks", "secret": "[redacted]"}}`,
		"one that was not this": `{"name": "other", "kind": "hook", "settings": {"secret": "[redacted]"}}`,
	} {
		doc := read(t, `{"developer": "acme", "destinations": [`+entry+`]}`)
		Keep(doc, stored.Root, kinds())
		if doc.Sound() || strings.Contains(string(JSON(doc.Root)), "old-") {
			t.Errorf("%s: kept %s", name, JSON(doc.Root))
		}
		Keep(read(t, `{"developer": "acme"}`), nil, kinds())
	}
}

// Settings that say how safely a secret travels, or who gets it, are part of the place.
func TestRedactedIsNotKeptOnALessSafeWay(t *testing.T) {
	const stored = `"host": "db.example", "dsn": "postgres://u@db.example/app?sslmode=verify-full", "ca": "old-ca", "role_arn": "arn:aws:iam::1:role/ours", "secret": "old-secret"`
	for name, c := range map[string]struct {
		was, is string
		kept    bool
	}{
		"as it was":               {"", "", true},
		"a redacted authority":    {`"old-ca"`, `"[redacted]"`, true},
		"another user":            {"//u@", "//v@", true},
		"without TLS":             {"sslmode=verify-full", "sslmode=disable", false},
		"with another parameter":  {"verify-full", "verify-full&options=-c", false},
		"another authority":       {"old-ca", "theirs", false},
		"none":                    {`"ca": "old-ca", `, "", false},
		"another account's role":  {"1:role/ours", "2:role/theirs", false},
		"a host behind a slash":   {"db.example/app", "db.example/@evil.example/app", true},
		"a host in front of it":   {"u@db.example/", "u@evil.example/db.example/", false},
		"a host behind the other": {"db.example/app", "db.example,evil.example/app", false},
	} {
		before := read(t, `{"developer": "acme", "destinations": [{"name": "app", "kind": "hook", "settings": {`+stored+`}}]}`)
		doc := read(t, `{"developer": "acme", "destinations": [{"name": "app", "kind": "hook", "settings": {`+
			strings.Replace(strings.Replace(stored, "old-secret", secret.Redacted, 1), c.was, c.is, 1)+`}}]}`)
		Keep(doc, before.Root, kinds())
		if got := strings.Contains(string(JSON(doc.Root)), "old-secret"); got != c.kept || doc.Sound() != c.kept {
			t.Errorf("%s: kept %t: %v", name, got, doc.Faults())
		}
	}
}

func TestResolvedHoldsNoReference(t *testing.T) {
	doc := read(t, `{"developer": "acme", "destinations": [{"name": "app", "kind": "hook", "settings": {"secret": "${env:A}", "keys": ["${file:secrets/b}", "plain", "${env:BINARY}"], "url": "${env:A}"}}]}`)
	Resolve(doc, kinds(), func(r strictyaml.Reference) ([]byte, error) {
		if r.Name == "BINARY" {
			return []byte("\xff\x00"), nil
		}
		if r.Scheme == "file" {
			return nil, errors.New("file " + r.Name + " is not there")
		}
		return []byte("va${lue}$"), nil
	})
	text := string(JSON(doc.Root))
	if !strings.Contains(text, `"secret":"va$${lue}$"`) || !strings.Contains(text, `"url":"${env:A}"`) {
		t.Errorf("resolved to %s", text)
	}
	if got := strictyaml.Faults(doc.Faults()).Error(); !strings.HasPrefix(got, "acme:1: destination app: file secrets/b is not there\nacme:1: destination app: what env:BINARY stands for is no text in UTF-8") {
		t.Errorf("faults %s", got)
	}
	if _, literal, err := strictyaml.ParseReference(strictyaml.Literal("va${lue}$${x}$")); err != nil || literal != "va${lue}$${x}$" {
		t.Errorf("read as %q, %v", literal, err)
	}
}

func TestRotation(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	entry := func(settings string) *yaml.Node {
		return Destinations(read(t, `{"developer": "acme", "destinations": [{"name": "app", "kind": "hook", "settings": {`+settings+`}}]}`).Root)[0]
	}
	get := func(n *yaml.Node, key string) string {
		_, s := strictyaml.Child(n, "settings")
		return valueOf(s, key)
	}
	e := entry(`"secret": "first"`)
	made, err := Rotate(e, kinds(), "", now, now.Add(time.Hour))
	if err != nil || len(made.Text) != 64 || get(e, "secret") != "first" || get(e, "next_secret") != made.Text || get(e, "rotate_at") != "2030-01-01T01:00:00Z" {
		t.Errorf("rotated to %s, %v", JSON(e), err)
	}
	if _, err := Rotate(e, kinds(), "", now.Add(time.Hour-time.Second), now.Add(2*time.Hour)); !errors.Is(err, ErrRotating) || strings.Contains(err.Error(), made.Text) {
		t.Errorf("a second rotation: %v", err)
	}
	if next, err := Rotate(e, kinds(), "given${x}", now.Add(time.Hour), now.Add(2*time.Hour)); err != nil || next.Text != "given${x}" || get(e, "secret") != made.Text || get(e, "next_secret") != "given$${x}" {
		t.Errorf("after its time: %s, %v", JSON(e), err)
	}
	for like, prefix := range map[string]string{"whsec_x": "whsec_", "whsk_x": "whsk_"} {
		if s, err := Rotate(entry(`"secret": "`+like+`"`), kinds(), "", now, now); err != nil || !strings.HasPrefix(s.Text, prefix) || (s.Public != "") != (prefix == "whsk_") {
			t.Errorf("like %s: %q, %v", like, s, err)
		}
	}
	plain := Destinations(read(t, `{"destinations": [{"name": "app", "kind": "plain", "settings": {"name": "x", "secret": "y"}}]}`).Root)[0]
	for _, e := range []*yaml.Node{plain, entry(`"url": "https://x.example"`)} {
		if _, err := Rotate(e, kinds(), "", now, now); !errors.Is(err, ErrNoRotation) {
			t.Errorf("%s: %v", JSON(e), err)
		}
	}
}
