package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/keyring"
)

const payloadDir = "payloads: { dir: { path: data/payloads, public_url: 'https://events.example' } }\n"

func TestPayloadStoresAreBound(t *testing.T) {
	t.Setenv("FANTAIL_S3_KEY", "hunter2hunter2")
	path := folder(t, map[string]string{"fantail.yaml": payloadDir})
	if d := load(t, path).Daemon.Payloads.Dir; d == nil || d.Path != filepath.Join(filepath.Dir(path), "data/payloads") || d.PublicURL != "https://events.example" {
		t.Errorf("dir: %+v", d)
	}
	s3 := load(t, folder(t, map[string]string{"fantail.yaml": `
payloads:
  s3:
    bucket: acme-payloads
    region: eu-west-1
    access_key_id: AKIA1234
    secret_access_key: "${env:FANTAIL_S3_KEY}"
`}))
	if p := s3.Daemon.Payloads; p.S3 == nil || p.S3.Bucket != "acme-payloads" || p.S3.SecretAccessKey.Reveal() != "hunter2hunter2" || !p.Kept() || len(s3.Notes) > 0 {
		t.Errorf("s3: %+v, notes %v", p.S3, s3.Notes)
	}
	gcs := load(t, folder(t, map[string]string{"fantail.yaml": "payloads: { gcs: { bucket: acme-payloads } }\n"}))
	if p := gcs.Daemon.Payloads; p.GCS == nil || p.GCS.Bucket != "acme-payloads" {
		t.Errorf("gcs: %+v", p)
	}
	if len(gcs.Notes) != 1 || !strings.Contains(gcs.Notes[0].Message, "links end with the temporary credentials") {
		t.Errorf("notes: %v", gcs.Notes)
	}
	if empty := load(t, folder(t, nil)).Daemon.Payloads; empty.Kept() {
		t.Errorf("none: %+v", empty)
	}
}

func TestRetentionOfPayloadsOutlivesEveryLink(t *testing.T) {
	for text, good := range map[string]bool{
		"retention: { payloads: 336h }":                            true,
		"retention: { payloads: 335h59m }":                         false,
		"retention: { payloads: 0 }":                               true,
		"retention: { events: 24h, payloads: 192h }":               true,
		"retention: { events: 24h, payloads: 191h }":               false,
		"retention: { events: 0, attempts: 0, payloads: 100000h }": false,
	} {
		_, err := Load(folder(t, map[string]string{"fantail.yaml": payloadDir + text + "\n"}), kinds())
		if (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
		if !good && !strings.Contains(err.Error(), "fantail.yaml:2: retention.payloads: must be at least 168h more than retention.events") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// faultsOf loads files whose developers have faults, and returns them.
func faultsOf(t *testing.T, files map[string]string) Faults {
	t.Helper()
	_, err := Load(folder(t, files), kinds())
	var faults Faults
	if err != nil && !errors.As(err, &faults) {
		t.Fatal(err)
	}
	return faults
}

func TestKindsThatLinkNeedAPayloadStore(t *testing.T) {
	const file = "developer: acme\ndestinations:\n  - name: app\n    kind: links\n    settings: { url: 'https://x.example', secret: x"
	own := file + ", bucket: b }\n"
	faults := faultsOf(t, map[string]string{"developers/acme.yaml": file + " }\n"})
	if len(faults) != 1 || faults[0].Line != 4 || !strings.Contains(faults[0].Message, "destination app: kind: links links to payloads") {
		t.Errorf("without a store: %v", faults)
	}
	if len(faults) == 1 { // what it says to write is all that is missing
		_, advice, _ := strings.Cut(faults[0].Message, "reach the daemon: ")
		advice, _, ok := strings.Cut(advice, ", or name")
		if left := faultsOf(t, map[string]string{"developers/acme.yaml": file + " }\n", "fantail.yaml": "developers: developers/\n" + advice + "\n"}); !ok || len(left) > 0 {
			t.Errorf("with %s: %v", advice, left)
		}
	}
	for name, c := range map[string]struct {
		files map[string]string
		links bool
	}{
		"a bucket of its own": {map[string]string{"developers/acme.yaml": own}, false},
		"with a store":        {map[string]string{"developers/acme.yaml": file + " }\n", "fantail.yaml": payloadDir}, true},
	} {
		d := load(t, folder(t, c.files)).Find("acme", "app")
		if d.Links != c.links {
			t.Errorf("%s: links %v", name, d.Links)
		}
	}
	d := load(t, folder(t, map[string]string{"developers/acme.yaml": file + " }\n", "fantail.yaml": payloadDir})).Find("acme", "app")
	thawed, err := Thaw(d.Freeze(), kinds(), mustRing(t))
	if err != nil || !thawed.Links || thawed.NeedsAmbient {
		t.Errorf("thawed: %+v, %v", thawed, err)
	}
}

func TestOperatorsCredentialsNeedTheirPermission(t *testing.T) {
	const file = "developer: acme\ndestinations:\n  - name: app\n    kind: sqs\n    settings:\n      url: https://x.example\n      secret: x\n      cloud: true\n"
	faults := faultsOf(t, map[string]string{"developers/acme.yaml": file, "fantail.yaml": "ambient: [acme/other, globex/app]\n"})
	if len(faults) != 1 || faults[0].Line != 5 || !strings.Contains(faults[0].Message, "destination app: settings: name no credentials") || !strings.Contains(faults[0].Message, "acme/app") {
		t.Errorf("faults: %v", faults)
	}
	d := load(t, folder(t, map[string]string{"developers/acme.yaml": file, "fantail.yaml": "ambient: [acme/app]\n"})).Find("acme", "app")
	if !d.Ambient || !d.NeedsAmbient {
		t.Errorf("listed: %+v", d)
	}
	// A fault that was told already is not told again.
	faults = faultsOf(t, map[string]string{"developers/acme.yaml": strings.Replace(file, "url:", "uri:", 1)})
	if len(faults) != 2 {
		t.Errorf("faults: %v", faults)
	}
}

func TestTypesAreLaidOverTheCatalogue(t *testing.T) {
	snap := load(t, folder(t, map[string]string{"fantail.yaml": `
types:
  recovery: { data: data, start: [metadata.start_time], end: [metadata.end_time], identity: [metadata.start_time], day_identity: true }
  athlete: {}
`}))
	c := snap.Daemon.Catalogue
	if !c.IsData("recovery") || c.IsData("athlete") || !c.IsData("sleep") {
		t.Error("the overlay is not in force")
	}
}

func mustRing(t *testing.T) *keyring.Ring {
	t.Helper()
	return load(t, folder(t, nil)).Keys
}
