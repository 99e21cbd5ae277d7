package config

import (
	"maps"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// A text is judged by the rules in force, without any other text: loading a file and binding
// its text come to the same.
func TestOneDeveloperIsBoundAlone(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3cret")
	snap := load(t, folder(t, map[string]string{"fantail.yaml": "ambient: [acme/app]\n", "developers/acme.yaml": acme}))
	bound := snap.Rules.Bind(t.Context(), &Text{ID: "acme", File: "a document", Raw: []byte(acme)}, snap.Secrets)
	if len(bound.Faults) > 0 || bound.Developer.Destinations[0].Hash != snap.Find("acme", "app").Hash || !bound.Developer.Destinations[0].Ambient {
		t.Errorf("bound alone: %+v", bound)
	}
	bound = snap.Rules.Bind(t.Context(), &Text{ID: "globex", File: "a document", Raw: []byte(acme)}, snap.Secrets)
	if bound.Developer != nil || bound.Names != "acme" || len(bound.Faults) != 1 || bound.Faults[0].Error() != "a document:1: developer: this is developer globex, and the text names acme: write developer: globex" {
		t.Errorf("of another developer: %+v", bound)
	}
}

// Binding the text of a new developer gives them no variable that could be somebody else's.
func TestNewcomerBoundAloneTakesNoVariables(t *testing.T) {
	t.Setenv("FANTAIL_DEV_A__B_SECRET", "s3cret")
	text := strings.NewReplacer("developer: acme", "developer: a-b", "_ACME_", "_A__B_").Replace(acme)
	snap := load(t, folder(t, map[string]string{"developers/a-b.yaml": text}))
	twin := strings.Replace(text, "developer: a-b", "developer: a.b", 1)
	bound := snap.Rules.Bind(t.Context(), &Text{ID: "a.b", Raw: []byte(twin)}, snap.Secrets)
	if bound.Developer != nil || !strings.Contains(bound.Faults[0].Message, "could be that of developers a-b and a.b") {
		t.Errorf("%+v", bound)
	}
}

// panics is a kind whose settings cannot be judged without a panic.
type panics struct {
	Secret string `yaml:"secret"`
}

func (p panics) Validate() error { panic("with the secret " + p.Secret) }

func TestKindThatPanicsCostsItsDeveloperAlone(t *testing.T) {
	all := kinds()
	maps.Copy(all, destination.NewRegistry(destination.Define("panics", destination.Traits{}, func() panics { return panics{} }, func(panics, destination.Deps) (destination.Destination, error) { return nil, nil })))
	snap, err := Load(folder(t, map[string]string{
		"developers/acme.yaml":   "developer: acme\ndestinations:\n  - { name: app, kind: panics, settings: { secret: hunter2 } }\n",
		"developers/globex.yaml": "developer: globex\n",
	}), all)
	if err == nil || !strings.Contains(err.Error(), "acme.yaml: a kind of destination that it names panicked (string)") || strings.Contains(err.Error(), "hunter2") || snap.Developers["globex"] == nil {
		t.Errorf("%v", err)
	}
}
