// Package secrettest writes secrets as far sides may repeat them, by other means
// than those by which they are recognised.
package secrettest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Form is one way to repeat a secret.
type Form struct {
	Name string
	Text string // what a far side says
	Core string // what of Text must show nowhere: all that depends on the secret alone
}

// Forms returns the forms of secret.
func Forms(secret string) (all []Form) {
	add := func(name, text string) { all = append(all, Form{name, text, text}) }
	add("as it is", secret)
	if utf8.ValidString(secret) { // no other text is one of JSON or HTML
		add("JSON of Go", inJSON(secret, true))
		add("JSON with its markup", inJSON(secret, false))
		add("JSON of PHP", strings.ReplaceAll(inJSON(secret, false), "/", `\/`))
		add("JSON with both", strings.ReplaceAll(inJSON(secret, true), "/", `\/`))
		add("JSON in lower-case escapes", escaped(secret, `\u%04x`))
		add("JSON in upper-case escapes", escaped(secret, `\u%04X`))
		add("JSON in JSON", inJSON(strings.ReplaceAll(inJSON(secret, true), "/", `\/`), true))
		add("HTML of Go", html.EscapeString(secret))
		for _, quote := range []string{"&#039;", "&#x27;", "&apos;"} {
			add("HTML with "+quote, strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", quote).Replace(secret))
		}
		add("HTML in numbers", references(secret))
		add("JSON in HTML", html.EscapeString(strings.ReplaceAll(inJSON(secret, false), "/", `\/`)))
	}
	for _, form := range []string{url.QueryEscape(secret), url.PathEscape(secret), percent(secret)} {
		add("URL", form)
		add("URL in lower case", lowered(form))
	}
	add("hex", hex.EncodeToString([]byte(secret)))
	add("hex in upper case", strings.ToUpper(hex.EncodeToString([]byte(secret))))
	for i, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		name := "base64 " + []string{"padded", "bare", "for URLs, padded", "for URLs, bare"}[i]
		for before := range 3 {
			for after := range 3 {
				all = append(all, within(name, e, "ab"[:before], secret, "yz"[:after]))
			}
		}
		inside := within(name, e, "user:", secret, "")
		inside.Text = "Basic " + inside.Text
		all = append(all, inside)
	}
	slashed := within("base64 in JSON of PHP", base64.StdEncoding, "user:", secret, "")
	slashed.Text, slashed.Core = strings.ReplaceAll(slashed.Text, "/", `\/`), strings.ReplaceAll(slashed.Core, "/", `\/`)
	return append(all, slashed)
}

// within is secret in base64 between neighbours. Characters at its edges tell of
// them, too.
func within(name string, e *base64.Encoding, before, secret, after string) Form {
	text := e.EncodeToString([]byte(before + secret + after))
	return Form{
		Name: fmt.Sprintf("%s, %d bytes before and %d after it", name, len(before), len(after)), Text: text,
		Core: text[(len(before)*8+5)/6 : (len(before)+len(secret))*8/6],
	}
}

func inJSON(s string, markup bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(markup)
	if err := e.Encode(s); err != nil {
		panic(err) // a string always has a form
	}
	return strings.TrimSuffix(b.String(), "\n")[1 : b.Len()-2]
}

// escaped writes every unit of UTF-16.
func escaped(s, form string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, form, unit)
	}
	return b.String()
}

func references(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r < ' ' || r >= 0x7f && r < 0xa0 { // their numbers mean other characters, or none
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, []string{"&#%d;", "&#x%x;", "&#x%X;"}[i%3], r)
	}
	return b.String()
}

func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// lowered writes the escapes of a URL as .NET does.
func lowered(s string) string {
	low := []byte(s)
	for i, c := range low {
		if c == '%' {
			copy(low[i:], strings.ToLower(s[i:i+3]))
		}
	}
	return string(low)
}
