package console

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Whatever colour somebody chooses, what stands on it is read, and what it alone marks is seen.
func TestEveryAccentKeepsTheContrast(t *testing.T) {
	inks := map[string]string{lightGround: "#16202a", darkGround: "#e4e9ed"}
	steps := []int{0, 0x33, 0x66, 0x77, 0x88, 0x99, 0xcc, 0xff}
	for _, r := range steps {
		for _, g := range steps {
			for _, b := range steps {
				accent := fmt.Sprintf("#%02x%02x%02x", r, g, b)
				if c := contrast(accent, inkOn(accent)); c < 4.5 {
					t.Errorf("%s: text has a contrast of %.2f", accent, c)
				}
				for ground, ink := range inks {
					if c := contrast(ground, strings.Replace(edgeOn(ground, accent), "var(--ink)", ink, 1)); c < 3 {
						t.Errorf("%s on %s: its edge has a contrast of %.2f", accent, ground, c)
					}
				}
			}
		}
	}
	tokens, err := os.ReadFile("../../web/src/style/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, _ := strings.Cut(string(tokens), "@media")
	for text, has := range map[string][]string{light: {"--ground: " + lightGround, "--ink: #16202a"}, dark: {"--card: " + darkGround, "--ink: #e4e9ed"}} {
		for _, line := range has {
			if !regexp.MustCompile(regexp.QuoteMeta(line) + ";").MatchString(text) {
				t.Errorf("tokens.css has no %s any more: change it here and in accent.go", line)
			}
		}
	}
}
