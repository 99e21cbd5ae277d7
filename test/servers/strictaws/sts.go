package strictaws

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalID  = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`) // at most 1224, more than regexp counts
)

func stsOperation(_ *http.Request, body []byte) string {
	form, _ := url.ParseQuery(string(body))
	switch a := form.Get("Action"); a {
	case "AssumeRole", "GetCallerIdentity":
		return a
	}
	return ""
}

func (s *Server) sts(c *call, operation string) *refusal {
	if f := s.unknownHeaders(c); f != nil {
		return f
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil || c.r.Method != http.MethodPost || form.Get("Version") != "2011-06-15" {
		return s.strange("an STS request must be a POST of a form of version 2011-06-15")
	}
	known := map[string]bool{"Action": true, "Version": true}
	if operation == "AssumeRole" {
		for _, name := range []string{"RoleArn", "RoleSessionName", "ExternalId", "DurationSeconds"} {
			known[name] = true
		}
	}
	for name := range form {
		if !known[name] {
			return s.strange("unknown parameter of %s: %s", operation, name)
		}
	}
	if operation == "GetCallerIdentity" { // needs no permission
		c.stsAnswer(operation, fmt.Sprintf("<Arn>%s</Arn><UserId>%s</UserId><Account>%s</Account>", c.who.arn, c.who.key, c.who.account))
		return nil
	}
	return s.assumeRole(c, form)
}

func (s *Server) assumeRole(c *call, form url.Values) *refusal {
	invalid := func(text string) *refusal { return &refusal{http.StatusBadRequest, "ValidationError", "", text} }
	arn, name, external := form.Get("RoleArn"), form.Get("RoleSessionName"), form.Get("ExternalId")
	seconds := 3600
	if text := form.Get("DurationSeconds"); text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil || seconds < 900 || seconds > 43200 {
			return invalid("DurationSeconds must be from 900 to 43200")
		}
	}
	switch {
	case !sessionName.MatchString(name):
		return invalid("Value at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*")
	case form.Has("ExternalId") && (!externalID.MatchString(external) || len(external) > 1224):
		return invalid("Value at 'externalId' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@:\\/-]*")
	}
	// A caller cannot tell a role that is missing from one that does not trust them.
	role, ok := s.roles[arn]
	trusted := role.ExternalID == external || role.ExternalID == ""
	if role.Trust != "" {
		given := map[string]string{"sts:ExternalId": external}
		trusted = s.says(s.parse(role.Trust), c.who, "sts:AssumeRole", "", given) == "Allow"
	}
	if !ok || !trusted || s.denied["sts:AssumeRole"] || s.identityAllows(c.who, "sts:AssumeRole", arn) != nil {
		return &refusal{http.StatusForbidden, "AccessDenied", "", fmt.Sprintf("User: %s is not authorized to perform: sts:AssumeRole on resource: %s", c.who.arn, arn)}
	}
	life := time.Duration(seconds) * time.Second
	if role.Life > 0 {
		life = role.Life
	}
	id := s.nextID()
	session := &identity{
		key: "ASIASTRICT" + id[:8], secret: "session-secret-" + id,
		token:   "session-token-" + id + strings.Repeat("Ab/+", 200), // as long as real ones: links have it
		expires: s.now().Add(life).Truncate(time.Second),
		account: accountOf(arn), role: arn, arn: "arn:aws:sts::" + accountOf(arn) + ":assumed-role/" + name,
	}
	s.users[session.key] = session
	c.stsAnswer("AssumeRole", fmt.Sprintf(
		"<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials>"+
			"<AssumedRoleUser><Arn>%s</Arn><AssumedRoleId>AROASTRICT:%s</AssumedRoleId></AssumedRoleUser>",
		session.key, session.secret, session.token, session.expires.Format(time.RFC3339), session.arn, name))
	return nil
}

func (c *call) stsAnswer(operation, inner string) {
	c.w.Header().Set("Content-Type", "text/xml")
	_, _ = fmt.Fprintf(c.w, `%s<%[2]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[2]sResult>%s</%[2]sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%[2]sResponse>`,
		xml.Header, operation, inner, c.id)
}

// accountOf returns the account of an ARN.
func accountOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 5 {
		return ""
	}
	return parts[4]
}
