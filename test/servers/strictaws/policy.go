package strictaws

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

// policy is a document of IAM. A member or a condition that is not here fails the test, because nobody
// has said what it would allow.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid, Effect string
	Principal   *struct{ AWS oneOrMore }
	Action      oneOrMore
	Resource    oneOrMore
	Condition   map[string]map[string]oneOrMore
}

// oneOrMore is a text or a list of them.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(o))
}

// Grant replaces the identity policies of the user with that access key, or of the role with that ARN.
// From then on they may do what the policies say, and nothing else.
func (s *Server) Grant(who string, documents ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := &policy{}
	for _, d := range documents {
		all.Statement = append(all.Statement, s.parse(d).Statement...)
	}
	s.granted[who] = all
}

// parse reads a policy, as written.
func (s *Server) parse(document string) *policy {
	p := &policy{}
	d := json.NewDecoder(strings.NewReader(document))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil || p.Version != "2012-10-17" || len(p.Statement) == 0 {
		s.tb.Errorf("strictaws: no policy of version 2012-10-17: %v: %s", err, document)
	}
	for _, st := range p.Statement {
		if st.Effect != "Allow" && st.Effect != "Deny" || len(st.Action) == 0 {
			s.tb.Errorf("strictaws: a statement without an effect or an action: %s", document)
		}
	}
	return p
}

// says returns what a policy says of an action on a resource by a principal: "Allow", "Deny", or "".
// principal is "" for an identity policy, which names none. given are the values of conditions.
func (s *Server) says(p *policy, principal *identity, action, resource string, given map[string]string) (effect string) {
	if p == nil {
		return ""
	}
	for _, st := range p.Statement {
		if (principal != nil) != (st.Principal != nil) {
			s.tb.Errorf("strictaws: a resource's policy names principals, an identity's none: %+v", st)
			continue
		}
		if principal != nil && !named(st.Principal.AWS, principal) || !matches(st.Action, action, true) || resource != "" && !matches(st.Resource, resource, false) || !s.holds(st.Condition, given) {
			continue
		}
		if st.Effect == "Deny" {
			return st.Effect
		}
		effect = st.Effect
	}
	return effect
}

// named tells whether a policy names who as a principal: by ARN, by the ARN of their role, by account.
func named(principals oneOrMore, who *identity) bool {
	for _, p := range principals {
		if p == "*" || p == who.arn || p == who.role && p != "" || p == who.account || p == "arn:aws:iam::"+who.account+":root" {
			return true
		}
	}
	return false
}

func matches(patterns oneOrMore, text string, folded bool) bool {
	for _, p := range patterns {
		if folded {
			p, text = strings.ToLower(p), strings.ToLower(text)
		}
		form := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(p))
		if regexp.MustCompile(`^` + form + `$`).MatchString(text) {
			return true
		}
	}
	return false
}

func (s *Server) holds(conditions map[string]map[string]oneOrMore, given map[string]string) bool {
	for operator, keys := range conditions {
		for key, values := range keys {
			have, known := given[key]
			if operator != "StringEquals" || !known {
				s.tb.Errorf("strictaws: an unknown condition: %s %s", operator, key)
				return false
			}
			ok := false
			for _, v := range values {
				ok = ok || v == have
			}
			if !ok {
				return false
			}
		}
	}
	return true
}

// identityAllows returns the refusal of an identity policy; nil if it refuses nothing.
func (s *Server) identityAllows(who *identity, action, resource string) *refusal {
	p := s.granted[who.key]
	if who.role != "" {
		p = s.granted[who.role]
	}
	if p == nil {
		return nil
	}
	switch s.says(p, nil, action, resource, nil) {
	case "Allow":
		return nil
	case "Deny":
		return deniedBecause(who, action, resource, "with an explicit deny in an identity-based policy")
	}
	return denied(who, action, resource)
}

func deniedBecause(who *identity, action, resource, why string) *refusal {
	return &refusal{http.StatusForbidden, "AccessDenied", "AccessDeniedException",
		"User: " + who.arn + " is not authorized to perform: " + action + " on resource: " + resource + " " + why}
}
