package demo

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// part is one destination of the demo: what it plays and what must come of it.
type part struct {
	developer, name string
	plays           string
	events          []string // nil: all
	waits           string   // between attempts
	*receiver
}

// id returns developer/name.
func (p *part) id() string { return p.developer + "/" + p.name }

// cast is everybody who plays in the demo.
type cast struct{ parts []*part }

func newCast(corrupt bool) *cast {
	c := &cast{parts: []*part{
		{developer: "acme", name: "app", plays: "healthy", waits: "1s, 1s"},
		{developer: "acme", name: "crm", plays: "fails twice, then recovers", waits: "1s, 2s, 3s"},
		{developer: "globex", name: "hooks", plays: "healthy", waits: "1s, 1s"},
		{developer: "globex", name: "legacy", plays: "hangs for ever", waits: "1s", events: []string{"sleep", "athlete"}},
	}}
	for _, p := range c.parts {
		p.receiver = newReceiver(senderSecret(p))
	}
	c.parts[1].fail = 2
	c.parts[3].hang = true
	if corrupt {
		c.parts[0].secret = "another secret than the sender's"
	}
	return c
}

// refuseAgain has the receivers that recover refuse as many requests as at first.
func (c *cast) refuseAgain() {
	for _, p := range c.parts {
		p.mu.Lock()
		p.refused = 0
		p.mu.Unlock()
	}
}

func senderSecret(p *part) string { return "demo-secret-of-" + p.developer + "-" + p.name }

func (c *cast) close() {
	for _, p := range c.parts {
		p.server.CloseClientConnections()
		p.server.Close()
	}
}

func (c *cast) developers() []string {
	var devs []string
	for _, p := range c.parts {
		if !slices.Contains(devs, p.developer) {
			devs = append(devs, p.developer)
		}
	}
	return devs
}

// expect tells the receivers of a sample before it is sent.
func (c *cast) expect(name string, body []byte) {
	for _, p := range c.parts {
		p.mu.Lock()
		p.expected[sha256.Sum256(body)] = name
		p.mu.Unlock()
	}
}

func (c *cast) part(developer, name string) *part {
	i := slices.IndexFunc(c.parts, func(p *part) bool { return p.developer == developer && p.name == name })
	if i < 0 {
		return nil
	}
	return c.parts[i]
}

const daemonSettings = `# Made by fantail demo.
listen: 127.0.0.1:0
store: { pebble: { dir: store } }
egress: { allow: [127.0.0.0/8] } # the receivers are on this machine
shutdown_grace: 2s
`

// writeSettings writes fantail.yaml and one file per developer, as a person would.
func (c *cast) writeSettings(dir string) (path string, err error) {
	files := map[string]*strings.Builder{}
	for _, p := range c.parts {
		f := files[p.developer]
		if f == nil {
			f = new(strings.Builder)
			files[p.developer] = f
			fmt.Fprintf(f, "developer: %s\ndestinations:\n", p.developer)
		}
		fmt.Fprintf(f, "  - name: %s\n    kind: webhook\n    timeout: 1s\n    retry: { waits: [%s], jitter: 0 }\n", p.name, p.waits)
		if p.events != nil {
			fmt.Fprintf(f, "    events: [%s]\n", strings.Join(p.events, ", "))
		}
		fmt.Fprintf(f, "    settings: { url: %q, secret: %q, allow_http: true }\n", p.server.URL, senderSecret(p))
	}
	if err := os.Mkdir(filepath.Join(dir, "developers"), 0o700); err != nil {
		return "", err
	}
	for developer, f := range files {
		if err := os.WriteFile(filepath.Join(dir, "developers", developer+".yaml"), []byte(f.String()), 0o600); err != nil {
			return "", err
		}
	}
	path = filepath.Join(dir, "fantail.yaml")
	return path, os.WriteFile(path, []byte(daemonSettings), 0o600)
}
