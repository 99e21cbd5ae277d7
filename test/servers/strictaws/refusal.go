package strictaws

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
)

// refusal is an answer that is no success. Its codes are those of S3 and STS; SQS spells some of them in
// its own way.
type refusal struct {
	status int
	code   string
	shape  string // of SQS: the name of the error's shape, where it differs from code
	text   string
}

func denied(who *identity, action, resource string) *refusal {
	return &refusal{http.StatusForbidden, "AccessDenied", "AccessDeniedException",
		fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because no identity-based policy allows the %s action", who.arn, action, resource, action)}
}

// refuse answers as the service does.
func (c *call) refuse(service string, f *refusal) {
	h := c.w.Header()
	h.Set("X-Amzn-Requestid", c.id)
	switch service {
	case "sqs":
		shape := f.shape
		if shape == "" {
			shape = f.code
		}
		fault := ";Sender"
		if f.status >= 500 {
			fault = ";Receiver"
		}
		h.Set("Content-Type", "application/x-amz-json-1.0")
		h.Set("X-Amzn-Query-Error", f.code+fault)
		c.w.WriteHeader(f.status)
		body, _ := json.Marshal(map[string]string{"__type": "com.amazonaws.sqs#" + shape, "message": f.text})
		_, _ = c.w.Write(body)
	case "sts":
		h.Set("Content-Type", "text/xml")
		c.w.WriteHeader(f.status)
		writeXML(c.w, struct {
			XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
			Type      string   `xml:"Error>Type"`
			Code      string   `xml:"Error>Code"`
			Message   string   `xml:"Error>Message"`
			RequestID string   `xml:"RequestId"`
		}{Type: "Sender", Code: f.code, Message: f.text, RequestID: c.id})
	default:
		h.Set("Content-Type", "application/xml")
		h.Set("X-Amz-Request-Id", c.id)
		c.w.WriteHeader(f.status)
		writeXML(c.w, struct {
			XMLName   xml.Name `xml:"Error"`
			Code      string
			Message   string
			Resource  string
			Region    string `xml:",omitempty"`
			RequestID string `xml:"RequestId"`
		}{Code: f.code, Message: f.text, Resource: c.r.URL.Path, Region: h.Get("X-Amz-Bucket-Region"), RequestID: c.id})
	}
}

// fail answers with a fault made to order.
func (c *call) fail(service string, f *Fault) {
	for name, values := range f.Header {
		c.w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	if f.Raw != "" {
		c.w.WriteHeader(f.Status)
		_, _ = c.w.Write([]byte(f.Raw))
		return
	}
	text := f.Message
	if f.Echo {
		text = strings.Join([]string{text, c.r.Header.Get("Authorization"), c.r.Header.Get("X-Amz-Security-Token"), c.who.key, c.who.secret, string(c.body)}, "\n")
	}
	if f.Repeat != nil {
		text = f.Repeat(c.credentials()...)
	}
	c.refuse(service, &refusal{f.Status, f.Code, f.Type, text})
}

// credentials are the secrets of a request, and of the one who made it.
func (c *call) credentials() []string {
	_, signature, _ := strings.Cut(c.r.Header.Get("Authorization"), "Signature=")
	all := []string{signature, c.who.secret}
	if token := c.r.Header.Get("X-Amz-Security-Token"); token != "" {
		all = append(all, token)
	}
	return all
}

func writeXML(w http.ResponseWriter, v any) {
	_, _ = w.Write([]byte(xml.Header))
	_ = xml.NewEncoder(w).Encode(v)
}

// guess tells the service of a request whose signature cannot be read.
func guess(r *http.Request) string {
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		return "sqs"
	case r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/x-www-form-urlencoded":
		return "sts"
	}
	return "s3"
}
