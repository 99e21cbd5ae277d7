package integration

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/document"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// leadElsewhere are the texts in all kinds' settings, by their last name, that say where a destination
// leads to, or how safely: when one changes, a secret must be given again. The others lead nowhere. A
// new setting must be entered here.
var (
	leadElsewhere = []string{"url", "host", "endpoint", "sts_endpoint", "queue", "api", "mode", "server_name", "role_arn"}
	leadNowhere   = []string{
		"signing", "user", "database", "schema", "content", "bucket", "payload_identity", "project", "region", "layout", "default_version",
		"stale", "storage_class", "sse", "kms_key_id", "kms_key", "acl", "expected_bucket_owner", "predefined_acl", "account", "prefix",
	}
)

// places are the settings of a kind: secrets, and plain texts, by their paths.
type places struct{ secrets, texts []string }

func (p *places) walk(path string, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[secret.Value]():
		p.secrets = append(p.secrets, path)
	case t.Kind() == reflect.Map || t.Kind() == reflect.Slice:
		p.walk(path+".K", t.Elem())
	case t.Kind() == reflect.Struct && !strings.HasPrefix(t.PkgPath(), "time"):
		for i := range t.NumField() {
			f := t.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			switch {
			case !f.IsExported() && !f.Anonymous || name == "-":
			case options == "inline":
				p.walk(path, f.Type)
			default:
				p.walk(strings.TrimPrefix(path+"."+name, "."), f.Type)
			}
		}
	case t.Kind() == reflect.String:
		p.texts = append(p.texts, path)
	}
}

// with builds the settings that have those values, by their paths.
func with(values map[string]string) *yaml.Node {
	root := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for path, value := range values {
		n := root
		steps := strings.Split(path, ".")
		for i, step := range steps {
			var next *yaml.Node
			for j := 0; j+1 < len(n.Content); j += 2 {
				if n.Content[j].Value == step {
					next = n.Content[j+1]
				}
			}
			if next == nil {
				next = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
				if i == len(steps)-1 {
					next = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
				}
				n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: step}, next)
			}
			n = next
		}
	}
	return root
}

func documentOf(kind string, settings *yaml.Node) *yaml.Node {
	root, entry := document.New("acme"), &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	text := func(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }
	entry.Content = append(entry.Content, text("name"), text("app"), text("kind"), text(kind), text("settings"), settings)
	document.Put(root, "app", entry)
	return root
}

// settle sets the setting at a path of the document's only destination.
func settle(root *yaml.Node, path, value string) {
	n := document.Destination(root, "app")
	for step := range strings.SplitSeq("settings."+path, ".") {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				n = n.Content[i+1]
				break
			}
		}
	}
	n.Value = value
}

// Every secret of every kind is taken out. It is put back while nothing else changes, and has to be
// given again when a setting changes that says where the destination leads to.
func TestSecretsOfEveryKindAreTakenOutAndPutBack(t *testing.T) {
	kinds := all.Destinations()
	count := 0
	for kind, def := range kinds {
		var p places
		_, _ = def.Bind(func(into any) error {
			p.walk("", reflect.TypeOf(into).Elem())
			return fmt.Errorf("stop")
		})
		values := map[string]string{}
		for i, path := range p.secrets {
			values[path] = fmt.Sprintf("hunter2-%d", i)
			if strings.HasSuffix(path, "dsn") {
				values[path] = "postgres://u:hunter2-dsn@db.example:5432/app"
			}
		}
		for _, path := range p.texts {
			values[path] = "plain-" + path
			last := path[strings.LastIndexByte(path, '.')+1:]
			if slices.Contains(leadElsewhere, last) == slices.Contains(leadNowhere, last) {
				t.Errorf("%s: %s is new: say in this test, and in package document, whether it says where a destination leads to", kind, path)
			}
		}
		stored := documentOf(kind, with(values))
		text, err := document.YAML(document.Redact(stored, kinds))
		if err != nil || strings.Contains(string(text), "hunter2") || strings.Count(string(text), secret.Redacted) != len(p.secrets) || len(p.secrets) == 0 {
			t.Errorf("%s: %d secrets, redacted to\n%s%v", kind, len(p.secrets), text, err)
		}
		for _, path := range p.texts {
			if !strings.Contains(string(text), "plain-"+path) {
				t.Errorf("%s: %s is hidden, and is no secret", kind, path)
			}
		}
		again := document.Read("acme", text, false)
		document.Keep(again, stored, kinds)
		if !again.Sound() || strings.Contains(string(document.JSON(again.Root)), secret.Redacted) {
			t.Errorf("%s: not all was kept: %v\n%s", kind, again.Faults(), document.JSON(again.Root))
		}
		for _, path := range p.texts {
			moved := document.Read("acme", []byte(strings.Replace(string(text), "plain-"+path, "other", 1)), false)
			document.Keep(moved, stored, kinds)
			elsewhere := slices.Contains(leadElsewhere, path[strings.LastIndexByte(path, '.')+1:])
			if moved.Sound() == elsewhere || elsewhere && strings.Contains(string(document.JSON(moved.Root)), "hunter2") {
				t.Errorf("%s: after a change of %s: %v", kind, path, moved.Faults())
			}
		}
		for _, path := range p.secrets {
			if !strings.HasSuffix(path, "ca") { // of the secrets, who vouches for the far side
				continue
			}
			values[path] = "another"
			moved := document.Read("acme", document.JSON(document.Redact(documentOf(kind, with(values)), kinds)), true)
			settle(moved.Root, path, "another")
			document.Keep(moved, stored, kinds)
			if moved.Sound() || strings.Contains(string(document.JSON(moved.Root)), "hunter2") {
				t.Errorf("%s: after a change of %s: %v", kind, path, moved.Faults())
			}
		}
		count += len(p.secrets)
	}
	if count < 40 {
		t.Errorf("only %d secrets of %d kinds were found", count, len(kinds))
	}
}
