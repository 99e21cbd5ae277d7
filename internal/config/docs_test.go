package config

import (
	"encoding"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

var (
	nodeType        = reflect.TypeFor[yaml.Node]()
	secretType      = reflect.TypeFor[secret.Value]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// keysOf lists every key that a struct is filled from, with its default.
func keysOf(v reflect.Value, path string, found map[string]string) {
	for v.Kind() == reflect.Pointer {
		v = reflect.New(v.Type().Elem()).Elem()
	}
	switch {
	case v.Type() == nodeType || v.Type() == secretType || reflect.PointerTo(v.Type()).Implements(textUnmarshaler):
	case v.Kind() == reflect.Slice:
		elem := reflect.New(v.Type().Elem()).Elem()
		if elem.Type() == nodeType {
			elem = reflect.ValueOf(destinationEntry{})
		}
		if elem.Kind() == reflect.Struct && elem.Type() != secretType && !reflect.PointerTo(elem.Type()).Implements(textUnmarshaler) {
			keysOf(elem, path+"[]", found)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			name, flags, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			if flags == "inline" {
				keysOf(v.Field(i), path, found)
				continue
			}
			keysOf(v.Field(i), strictyaml.Join(path, name), found)
		}
		return
	case v.Kind() == reflect.Map:
		keysOf(reflect.New(v.Type().Elem()).Elem(), path+".NAME", found)
	}
	found[path] = written(v)
}

// written is how a default is written in YAML; "" when there is none.
func written(v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	switch x := v.Interface().(type) {
	case duration:
		return short(time.Duration(x))
	case size:
		return fmt.Sprintf("%dMiB", x>>20)
	case speed:
		return fmt.Sprintf("%dKiB/s", x>>10)
	case string, int:
		return fmt.Sprint(x)
	}
	return ""
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// TestEveryKeyIsDocumented holds docs/CONFIGURATION.md to the keys and defaults of the code.
func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/CONFIGURATION.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			continue
		}
		for _, key := range codeSpan.FindAllStringSubmatch(cells[1], -1) {
			rows[key[1]] = cells
		}
	}
	keys := map[string]string{}
	keysOf(reflect.ValueOf(defaultDaemon()), "", keys)
	keysOf(reflect.ValueOf(developerFile{}), "", keys)
	for path, value := range map[string]string{
		"destinations[].max_in_flight": fmt.Sprint(defaultInFlight), "destinations[].retry.initial": short(defaultInitial),
		"destinations[].retry.factor": fmt.Sprint(defaultFactor), "destinations[].retry.retries": fmt.Sprint(defaultRetries), "destinations[].retry.jitter": fmt.Sprint(defaultJitter),
	} {
		if _, ok := keys[path]; !ok {
			t.Errorf("%s is no key", path)
		}
		keys[path] = value
	}
	if len(keys) < 50 {
		t.Fatalf("only %d keys: %v", len(keys), keys)
	}
	for key, value := range keys {
		row, ok := rows[key]
		if !ok {
			t.Errorf("key %s is not in docs/CONFIGURATION.md", key)
		} else if value != "" && !strings.Contains(row[3], "`"+value+"`") {
			t.Errorf("key %s: the default is %s, the page says%s", key, value, row[3])
		}
	}
	for key := range rows {
		if _, ok := keys[key]; !ok {
			t.Errorf("the page has a key %s that the code does not know", key)
		}
	}
}

// TestSamplesAreSound: configs/ as it is shipped has no notes, except that serve will make the key.
func TestSamplesAreSound(t *testing.T) {
	for _, name := range []string{"ACME_SECRET", "GLOBEX_SECRET", "GLOBEX_LEGACY_SECRET"} {
		t.Setenv("FANTAIL_DEV_"+name, "s3cret")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../configs")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "secrets/acme/lab.key", "s3cret\n")
	if err := os.RemoveAll(filepath.Join(dir, "fantail.key")); err != nil {
		t.Fatal(err)
	}
	snap := load(t, filepath.Join(dir, "fantail.yaml"))
	if len(snap.Developers) != 2 || snap.Find("acme", "lab") == nil || snap.Find("globex", "legacy").Enabled || snap.Find("globex", "hooks").Frozen {
		t.Errorf("developers: %+v", snap.Developers)
	}
	if len(snap.Notes) != 1 || !strings.Contains(snap.Notes[0].Message, "serve makes it") {
		t.Errorf("notes: %v", snap.Notes)
	}

	// Settings that are commented out in fantail.yaml must be sound too.
	for _, name := range []string{"FANTAIL_TOKEN", "FANTAIL_SUPPORT_TOKEN", "FANTAIL_OPERATOR_TOKEN"} {
		t.Setenv(name, "0123456789abcdef"+name)
	}
	text, err := os.ReadFile(filepath.Join(dir, "fantail.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	commented := regexp.MustCompile(`(?m)^( *)# ((?:tls|tokens|proxy|payloads|ambient|types|  - \{|  [a-z_]+:).*)$`)
	write(t, dir, "fantail.yaml", commented.ReplaceAllString(string(text), "$1$2"))
	snap = load(t, filepath.Join(dir, "fantail.yaml"))
	if len(snap.Daemon.Tokens) != 3 || snap.Daemon.TLS.Cert == "" || snap.Daemon.Egress.Proxy.IsZero() ||
		snap.Daemon.Payloads.Dir == nil || len(snap.Daemon.Ambient) != 1 || !snap.Daemon.Catalogue.IsData("recovery") {
		t.Errorf("daemon: %+v", snap.Daemon)
	}
}
