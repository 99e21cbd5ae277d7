package config

import (
	"fmt"
	"strings"
	"testing"
)

// What the settings say of the console ends up in a page, a stylesheet and a header, and the logo is served to anybody.
func TestTheLookOfTheConsoleIsNoWayIn(t *testing.T) {
	const svg = `<svg xmlns="http://www.w3.org/2000/svg"/>`
	files := map[string]string{
		"good.svg": `<?xml version="1.0"?><!-- ours --><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><style>a { fill: red }</style></svg>`,
		"good.PNG": "\x89PNG\r\n\x1a\nrest", "good.webp": "RIFF\x00\x00\x00\x00WEBPrest",
		"page.svg": `<html xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></html>`, "bare.svg": `<svg/>`, "empty.svg": "", "text.svg": "root:x:0:0:root\n",
		"entities.svg": `<!DOCTYPE svg [<!ENTITY a "aaaa">]>` + svg, "two.svg": svg + "<p>", "cut.svg": `<svg xmlns="http://www.w3.org/2000/svg"><g>`, "png.svg": "\x89PNG\r\n\x1a\n",
		"page.png": "<html>", "svg.png": svg, "page.webp": "RIFF<html>", "logo.html": "<html>", "logo.svg.js": "alert(1)",
	}
	good := map[string][]string{
		"name":   {"Acme events", `Tom & Jerry's "<b>" \ 1`, "健康", strings.Repeat("ä", 64), "3"},
		"accent": {"#0a7d4f", "#FFFFFF", "#000000"},
		"logo":   {"good.svg", "good.PNG", "good.webp"},
	}
	bad := map[string][]string{
		"name":   {" ", " Acme", "Acme ", "\u3164", "\u115f\u1160", "...", "\u202eemcA", "Ac\u200bme", "A\nB", "A\x00B", "\u00a0", strings.Repeat("a", 65)},
		"accent": {"red", "#fff", "#0a7d4f;", "#0a7d4g", "0a7d4f", "#0a7d4f80", "url(https://evil.example/x)", "#0a7d4f} body{display:none", "var(--bad)", "rgb(1,2,3)", "#0a7d4f\n", "expression(alert(1))"},
		"logo": {"page.svg", "bare.svg", "empty.svg", "text.svg", "entities.svg", "two.svg", "cut.svg", "png.svg", "page.png", "svg.png", "page.webp", "logo.html", "logo.svg.js", "missing.svg", ".", "/etc/passwd",
			"https://evil.example/logo.svg", "data:image/svg+xml,<svg/>", "javascript:alert(1)//.svg", "//evil.example/a.svg"},
	}
	try := func(key, value string) error {
		files["fantail.yaml"] = fmt.Sprintf("console: { %s: %q }\n", key, value)
		_, err := Load(folder(t, files), kinds())
		return err
	}
	for key, values := range good {
		for _, value := range values {
			if err := try(key, value); err != nil {
				t.Errorf("%s %q: %v", key, value, err)
			}
		}
	}
	for key, values := range bad {
		for _, value := range values {
			if err := try(key, value); err == nil || !strings.Contains(err.Error(), "console."+key+": ") {
				t.Errorf("%s %q: %v", key, value, err)
			}
		}
	}
}
