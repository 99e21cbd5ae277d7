package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
)

// component is a part of the program in a bill of materials, CycloneDX 1.6:
// https://cyclonedx.org/docs/1.6/json/
type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

type billOfMaterials struct {
	Format   string `json:"bomFormat"`
	Spec     string `json:"specVersion"`
	Version  int    `json:"version"`
	Metadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	} `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

// bill writes what a binary says that it was built of: the modules that were linked, each with the
// version and the checksum of go.sum, and the standard library. Who depends on whom is not in a binary:
// all are named as parts of the program.
func (r *release) bill(_ context.Context, p platform, _ string) error {
	info, err := buildinfo.ReadFile(filepath.Join(r.dir(p), "fantail"))
	if err != nil {
		return fmt.Errorf("read what the binary was built of: %w", err)
	}
	for _, setting := range info.Settings { // of `go env -w`, which an empty variable does not overrule
		if setting.Key == "GOEXPERIMENT" {
			return fmt.Errorf("the binary was built with GOEXPERIMENT=%s: run go env -u GOEXPERIMENT", setting.Value)
		}
	}
	b := billOfMaterials{Format: "CycloneDX", Spec: "1.6", Version: 1}
	b.Metadata.Timestamp = r.date.Format(time.RFC3339)
	main := module("application", info.Main.Path, r.version, "")
	main.Properties = []property{{"fantail:commit", r.commit}, {"fantail:platform", p.os + "/" + p.arch}}
	b.Metadata.Component = main
	b.Components = []component{module("library", "std", strings.TrimPrefix(info.GoVersion, "go"), "")}
	for _, d := range info.Deps {
		b.Components = append(b.Components, module("library", used(d).Path, used(d).Version, used(d).Sum))
	}
	parts := dependency{Ref: main.Ref}
	for _, c := range b.Components {
		parts.DependsOn = append(parts.DependsOn, c.Ref)
	}
	b.Dependencies = []dependency{parts}
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if err := out.Encode(b); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "fantail_"+p.String()+".cdx.json"), text.Bytes(), 0o644)
}

// used is the module that was built in, which a replacement may be.
func used(m *debug.Module) *debug.Module {
	if m.Replace != nil {
		return m.Replace
	}
	return m
}

func module(kind, path, version, sum string) component {
	purl := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	c := component{Type: kind, Ref: purl, Name: path, Version: version, PURL: purl}
	if sum != "" { // not among the hashes: it is one of the files' names and hashes, not of a file
		c.Properties = []property{{"go:sum", sum}}
	}
	return c
}
