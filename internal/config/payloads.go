package config

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp"
	"github.com/seed-51f8da91/fantail/pkg/endpoint"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// payloadsFile says where payloads are kept.
type payloadsFile struct {
	Dir *payloadDirFile     `yaml:"dir"`
	S3  *aws.BucketSettings `yaml:"s3"`
	GCS *gcp.BucketSettings `yaml:"gcs"`
}

type payloadDirFile struct {
	Path      string `yaml:"path"`
	PublicURL string `yaml:"public_url"`
	Listen    string `yaml:"listen"`
}

// settings returns what the rest of the program sees.
func (f *payloadsFile) settings(dir string) Payloads {
	p := Payloads{S3: f.S3, GCS: f.GCS}
	if f.Dir != nil {
		p.Dir = &PayloadDir{Path: absolute(dir, f.Dir.Path), PublicURL: f.Dir.PublicURL, Listen: f.Dir.Listen}
		if u, err := endpoint.Parse(f.Dir.PublicURL, true); err == nil {
			p.Dir.PublicURL = u.String()
		}
	}
	return p
}

func (r *daemonRules) payloads() {
	f := &r.daemon.file.Payloads
	_, section := strictyaml.Find(r.root, "payloads")
	if section == nil || section.Kind != yaml.MappingNode {
		return
	}
	if n := len(section.Content) / 2; n != 1 {
		r.Require("payloads", false, "must hold one of dir, s3 and gcs: that is where payloads are kept")
	}
	if f.Dir != nil && r.OK("payloads.dir") {
		r.payloadDir(f.Dir)
	}
	if f.S3 != nil {
		r.partOf("payloads.s3", f.S3.Validate())
		if f.S3.Temporary() {
			r.shortLinks("payloads.s3", "role, session token or machine that they are signed with")
		}
	}
	if f.GCS != nil {
		r.partOf("payloads.gcs", f.GCS.Validate())
		if f.GCS.NeedsAmbient() {
			r.shortLinks("payloads.gcs", "machine that they are signed with, 12 hours at most")
		}
	}
}

// shortLinks notes links that may end before a week is over: links in tables are made for that
// long.
func (r *daemonRules) shortLinks(path, whose string) {
	r.daemon.note(path, "links end with the temporary credentials of the "+whose+": where consumers need them for longer, give it a key of its own")
}

func (r *daemonRules) payloadDir(d *payloadDirFile) {
	r.Require("payloads.dir.path", d.Path != "", "must name a folder")
	u, err := endpoint.Parse(d.PublicURL, true)
	good := err == nil && !strings.Contains(d.PublicURL, "?")
	r.Require("payloads.dir.public_url", good, "must be the http or https address that links begin with, as https://events.example.com"+because(err))
	if d.Listen != "" {
		_, fault := judgeListen(d.Listen)
		r.Require("payloads.dir.listen", fault == "", fault)
		r.Require("payloads.dir.listen", d.Listen != r.daemon.file.Listen || strings.HasSuffix(d.Listen, ":0"), "is that of the API: leave it out for that, or name another")
	}
	if good && u.Scheme == "http" && r.OK("payloads.dir") {
		if loopback, _ := judgeListen(u.Hostname() + ":1"); !loopback {
			r.daemon.note("payloads.dir.public_url", "payloads and links to them travel in clear: set tls, or use a proxy that does")
		}
	}
}

// because returns what is wrong with the address, out of the error about it.
func because(err error) string {
	if err == nil {
		return ""
	}
	return ": it " + err.Error()
}

// partOf turns the error of a part of fantail.yaml, which may be several joined, into faults.
func (r *daemonRules) partOf(path string, err error) {
	if err == nil {
		return
	}
	if _, n := strictyaml.Find(r.root, path); n != nil {
		r.kindFaults(n, path, err)
	}
}

// types checks the types of events that are laid over the catalogue, and makes it.
func (r *daemonRules) types() {
	types := r.daemon.file.Types
	_, section := strictyaml.Find(r.root, "types")
	if section == nil || section.Kind != yaml.MappingNode || !r.OK("types") {
		return
	}
	const most = 1000
	r.Require("types", len(types) <= most, "has more than 1000 entries")
	for i := 0; i+1 < len(section.Content); i += 2 {
		key := section.Content[i]
		path := strictyaml.Join("types", strictyaml.QuoteKey(key.Value))
		if fault := typeFault(key.Value); fault != "" {
			r.Fault(key.Line, path, "%s", fault)
		} else if _, err := event.NewCatalogue(map[string]event.DataType{"x": types[key.Value]}); err != nil {
			r.Fault(key.Line, path, "%s", strings.TrimPrefix(err.Error(), `data type "x": `))
		}
	}
	if !r.OK("types") {
		return
	}
	catalogue, err := event.NewCatalogue(types)
	if err != nil {
		r.At("types", "%v", err)
		return
	}
	r.daemon.catalogue = catalogue
}

func typeFault(name string) string {
	if name == "" || len(name) > 128 || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '*' || c == '$' }) {
		return "must be a type of events, without spaces or * and at most 128 bytes long"
	}
	return ""
}
