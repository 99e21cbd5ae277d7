package config

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/endpoint"
)

// Console is how the pages of the console look, and where browsers reach them.
type Console struct {
	PublicURL      string   // scheme, host and a path that ends without /; "": the Host of each request
	FrameAncestors []string // origins whose pages may embed it; nil: none may
	Name           string
	Logo           string // absolute path of an image; "": none
	Accent         string // #rrggbb; "": ours
}

type consoleFile struct {
	PublicURL      string   `yaml:"public_url"`
	FrameAncestors []string `yaml:"frame_ancestors"`
	Name           string   `yaml:"name"`
	Logo           string   `yaml:"logo"`
	Accent         string   `yaml:"accent"`
}

const (
	maxConsoleName = 64
	maxLogo        = 256 << 10
	maxAncestors   = 64
)

var (
	colour = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)
	images = []string{".svg", ".png", ".webp"}
)

// settings returns what the rest of the program sees.
func (f *consoleFile) settings(dir string) Console {
	c := Console{FrameAncestors: f.FrameAncestors, Name: f.Name, Accent: f.Accent}
	if u, err := endpoint.Parse(f.PublicURL, true); err == nil {
		c.PublicURL = strings.TrimRight(u.String(), "/")
	}
	if f.Logo != "" {
		c.Logo = absolute(dir, f.Logo)
	}
	return c
}

// console checks values that end up in headers and pages. The operator sets them, but a mistake
// in one would open the pages to others.
func (r *daemonRules) console() {
	f := &r.daemon.file.Console
	if _, section := strictyaml.Find(r.root, "console"); section == nil || section.Kind != yaml.MappingNode {
		return
	}
	if f.PublicURL != "" {
		u, err := endpoint.Parse(f.PublicURL, true)
		good := err == nil && !strings.Contains(f.PublicURL, "?")
		r.Require("console.public_url", good, "must be the http or https address at which browsers reach the daemon, as https://events.example.com"+because(err))
		if good && u.Scheme == "http" {
			if loopback, _ := judgeListen(u.Hostname() + ":1"); !loopback {
				r.daemon.note("console.public_url", "tokens and cookies travel in clear: set tls, or use a proxy that does")
			}
		}
	}
	r.Require("console.frame_ancestors", f.FrameAncestors == nil || len(f.FrameAncestors) > 0, "is empty: leave it out, and no page may embed the console")
	r.Require("console.frame_ancestors", len(f.FrameAncestors) <= maxAncestors, "has more than 64 entries")
	for i, origin := range f.FrameAncestors[:min(len(f.FrameAncestors), maxAncestors)] {
		path := strictyaml.Index("console.frame_ancestors", i)
		r.Require(path, isOrigin(origin), "must be scheme and host of a page, as https://app.example.com, without path or *")
		r.Require(path, !slices.Contains(f.FrameAncestors[:i], origin), "is there twice: remove one")
	}
	r.Require("console.name", utf8.RuneCountInString(f.Name) <= maxConsoleName && !strings.ContainsFunc(f.Name, func(c rune) bool { return !unicode.IsPrint(c) }) &&
		strings.TrimSpace(f.Name) == f.Name && (f.Name == "" || strings.ContainsFunc(f.Name, visible)),
		"must be at most 64 characters that show, with a letter or digit among them and no space around them")
	r.Require("console.accent", f.Accent == "" || colour.MatchString(f.Accent), "must be a colour as \"#0a7d4f\", in quotes")
	if f.Logo != "" {
		r.logo(absolute(r.daemon.dir, f.Logo))
	}
}

// visible tells whether c makes a name that is read. Some letters have no picture (the Hangul fillers).
func visible(c rune) bool {
	return (unicode.IsLetter(c) || unicode.IsDigit(c)) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, c)
}

// isOrigin tells whether text names the pages of one site. It is put into a header
// (Content-Security-Policy), where a space or ; would end it: no host has one.
func isOrigin(text string) bool {
	u, err := endpoint.Parse(text, true)
	return err == nil && u.Path == "" && u.Scheme+"://"+u.Host == text
}

func (r *daemonRules) logo(path string) {
	r.Require("console.logo", slices.Contains(images, strings.ToLower(filepath.Ext(path))), "must be the path of an image: .svg, .png or .webp")
	info, err := os.Stat(path)
	switch {
	case err != nil:
		r.Require("console.logo", false, "cannot be read: "+bare(err).Error())
	case !info.Mode().IsRegular() || info.Size() > maxLogo:
		r.Require("console.logo", false, "must be a file of at most 256KiB")
	default:
		b, err := os.ReadFile(path)
		if err != nil {
			r.Require("console.logo", false, "cannot be read: "+bare(err).Error())
		} else if slices.Contains(images, strings.ToLower(filepath.Ext(path))) {
			r.Require("console.logo", isImage(strings.ToLower(filepath.Ext(path)), b), "is no image of the kind that its name says: everybody can read what stands there")
		}
	}
}

// isImage tells whether a file is what its ending says. The logo is served to anybody: another file behind a link must
// not be, and no page in the place of a picture.
func isImage(ending string, b []byte) bool {
	switch ending {
	case ".png":
		return bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n"))
	case ".webp":
		return len(b) >= 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP"
	}
	root := true
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		token, err := d.Token()
		if err != nil {
			return err == io.EOF && !root
		}
		switch t := token.(type) {
		case xml.Directive: // it can name other files, and entities that grow
			return false
		case xml.StartElement:
			if root && t.Name != (xml.Name{Space: "http://www.w3.org/2000/svg", Local: "svg"}) {
				return false
			}
			root = false
		}
	}
}
