package api

import (
	_ "embed"
)

// Description is the API's OpenAPI description.
//
//go:embed openapi.yaml
var description []byte

var asYAML = []string{"application/yaml"}

func (a *API) openapi(c *call) error {
	c.send(200, asYAML, description)
	return nil
}

// egress says where connections come from, which a developer may need for a
// firewall of their own.
func (a *API) egress(c *call) error {
	return c.json(200, struct {
		Source []string `json:"source"`
		Proxy  bool     `json:"proxy"`
	}{append([]string{}, a.Egress.Source...), a.Egress.Proxy})
}

// metrics shows figures of every developer.
func (a *API) metrics(c *call) error {
	if err := c.whole(); err != nil {
		return err
	}
	a.Metrics.ServeHTTP(c, c.r)
	return nil
}

// healthz says that the process answers.
func (a *API) healthz(c *call) error {
	return c.json(200, struct {
		Status string `json:"status"`
	}{"ok"})
}

// readyz says whether events can be taken. Warnings, which name developers, and
// the version are for those who may read and see everything.
func (a *API) readyz(c *call) error {
	problems, warnings := a.Daemon.Health()
	v := struct {
		Ready    bool     `json:"ready"`
		Problems []string `json:"problems"`
		Warnings []string `json:"warnings,omitzero"`
		Version  string   `json:"version,omitempty"`
	}{Ready: len(problems) == 0, Problems: append([]string{}, problems...)}
	if c.who != nil && c.who.may&canRead != 0 && c.who.developers == nil {
		v.Warnings, v.Version = append([]string{}, warnings...), a.Version
	}
	status := 200
	if !v.Ready {
		status = 503
		c.Header().Set("Retry-After", "1")
	}
	return c.json(status, v)
}
