package all

import (
	"os"
	"testing"
)

// TestEveryKindIsListedAndDescribed: a folder is the name of its kind, and tells users what it takes.
func TestEveryKindIsListedAndDescribed(t *testing.T) {
	folders, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	kinds := Destinations()
	for _, f := range folders {
		if !f.IsDir() || f.Name() == "all" || f.Name() == "internal" {
			continue
		}
		if kinds[f.Name()].Kind != f.Name() {
			t.Errorf("%s is not listed", f.Name())
		}
		if _, err := os.Stat("../" + f.Name() + "/README.md"); err != nil {
			t.Errorf("%s has no README: %v", f.Name(), err)
		}
		delete(kinds, f.Name())
	}
	for kind := range kinds {
		t.Errorf("%s has no folder of its own", kind)
	}
}
