package strictaws

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"
	maxSkew    = 15 * time.Minute // S3's; the others allow 5
	maxLife    = 7 * 24 * time.Hour
)

// identity is a key and who holds it.
type identity struct {
	key, secret, account, arn string
	token                     string    // of a session
	expires                   time.Time // of a session
	role                      string    // ARN of the role that a session is of
}

// signature is what a request says of how it was signed.
type signature struct {
	key, day, region, service string
	headers                   []string
	text                      string
	at                        time.Time
	life                      time.Duration // of a link; 0: the headers are signed
	token                     string
}

func readSignature(r *http.Request) (signature, *refusal) {
	q := r.URL.Query()
	if q.Has("X-Amz-Signature") {
		return readQuery(q)
	}
	malformed := func(what string) (signature, *refusal) {
		return signature{}, &refusal{http.StatusBadRequest, "AuthorizationHeaderMalformed", "IncompleteSignature", "The authorization header is malformed; " + what + "."}
	}
	auth := r.Header.Get("Authorization")
	if auth == "" {
		return signature{}, &refusal{http.StatusForbidden, "AccessDenied", "MissingAuthenticationToken", "Access Denied: request is missing an authentication token"}
	}
	rest, ok := strings.CutPrefix(auth, algorithm+" ")
	if !ok {
		return malformed("it is not " + algorithm)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	s := signature{text: parts["Signature"], headers: strings.Split(parts["SignedHeaders"], ";"), token: r.Header.Get("X-Amz-Security-Token")}
	if !s.scope(parts["Credential"]) || len(parts) != 3 || s.text == "" {
		return malformed("it must have Credential, SignedHeaders and Signature")
	}
	var err error
	if s.at, err = time.Parse(timeFormat, r.Header.Get("X-Amz-Date")); err != nil {
		return malformed("X-Amz-Date is missing or unreadable")
	}
	if s.at.Format("20060102") != s.day {
		return malformed("the date of the credential is not that of the request")
	}
	return s, nil
}

func readQuery(q url.Values) (signature, *refusal) {
	malformed := func(what string) (signature, *refusal) {
		return signature{}, &refusal{http.StatusBadRequest, "AuthorizationQueryParametersError", "", what}
	}
	s := signature{text: q.Get("X-Amz-Signature"), headers: strings.Split(q.Get("X-Amz-SignedHeaders"), ";"), token: q.Get("X-Amz-Security-Token")}
	if q.Get("X-Amz-Algorithm") != algorithm || !s.scope(q.Get("X-Amz-Credential")) {
		return malformed("Query-string authentication requires the Algorithm and Credential parameters")
	}
	var err error
	if s.at, err = time.Parse(timeFormat, q.Get("X-Amz-Date")); err != nil || s.at.Format("20060102") != s.day {
		return malformed("X-Amz-Date must be in the ISO8601 Long Format, on the day of the credential")
	}
	seconds, err := strconv.Atoi(q.Get("X-Amz-Expires"))
	if s.life = time.Duration(seconds) * time.Second; err != nil || s.life <= 0 || s.life > maxLife {
		return malformed("X-Amz-Expires must be a number of seconds, more than 0 and at most a week")
	}
	return s, nil
}

// scope reads key/day/region/service/aws4_request.
func (s *signature) scope(text string) bool {
	p := strings.Split(text, "/")
	if len(p) != 5 || p[4] != "aws4_request" || slices.Contains(p, "") {
		return false
	}
	s.key, s.day, s.region, s.service = p[0], p[1], p[2], p[3]
	return true
}

// authenticate finds out who signed, in the order of the real services.
func (s *Server) authenticate(c *call) *refusal {
	who, sig := s.users[c.sig.key], c.sig
	isS3 := sig.service == "s3"
	if who == nil {
		if isS3 {
			return &refusal{http.StatusForbidden, "InvalidAccessKeyId", "", "The AWS Access Key Id you provided does not exist in our records."}
		}
		return &refusal{http.StatusForbidden, "InvalidClientTokenId", "UnrecognizedClientException", "The security token included in the request is invalid."}
	}
	c.who = who
	if sig.token != who.token {
		if isS3 {
			return &refusal{http.StatusBadRequest, "InvalidToken", "", "The provided token is malformed or otherwise invalid."}
		}
		return &refusal{http.StatusForbidden, "InvalidClientTokenId", "UnrecognizedClientException", "The security token included in the request is invalid"}
	}
	now := s.now()
	if who.token != "" && now.After(who.expires) {
		if isS3 {
			return &refusal{http.StatusBadRequest, "ExpiredToken", "", "The provided token has expired."}
		}
		return &refusal{http.StatusForbidden, "ExpiredToken", "ExpiredTokenException", "The security token included in the request is expired"}
	}
	switch age := now.Sub(sig.at); {
	case sig.life > 0 && age > sig.life:
		return &refusal{http.StatusForbidden, "AccessDenied", "", "Request has expired"}
	case sig.life == 0 && isS3 && age.Abs() > maxSkew:
		return &refusal{http.StatusForbidden, "RequestTimeTooSkewed", "", "The difference between the request time and the current time is too large."}
	case sig.life == 0 && !isS3 && age.Abs() > maxSkew/3:
		return &refusal{http.StatusForbidden, "SignatureDoesNotMatch", "InvalidSignatureException", "Signature expired: " + sig.at.Format(timeFormat) + " is now earlier than " + now.Add(-maxSkew/3).Format(timeFormat)}
	case sig.life > 0 && -age > maxSkew:
		return &refusal{http.StatusForbidden, "AccessDenied", "", "Request is not yet valid"}
	}
	if !isS3 && sig.region != s.Region { // buckets have regions of their own
		return &refusal{http.StatusForbidden, "SignatureDoesNotMatch", "InvalidSignatureException", "Credential should be scoped to a valid region."}
	}
	return c.verify(who.secret)
}

// verify recomputes the signature of the request as it arrived.
func (c *call) verify(secret string) *refusal {
	sig := c.sig
	for name := range c.r.Header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && !slices.Contains(sig.headers, lower) {
			return &refusal{http.StatusForbidden, "AccessDenied", "InvalidSignatureException", "There were headers present in the request which were not signed: " + lower}
		}
	}
	if !slices.Contains(sig.headers, "host") || !slices.IsSorted(sig.headers) {
		return &refusal{http.StatusForbidden, "SignatureDoesNotMatch", "InvalidSignatureException", "host must be among the signed headers, which must be sorted"}
	}
	hash, refused := c.payloadHash()
	if refused != nil {
		return refused
	}
	canonical := strings.Join([]string{c.r.Method, c.canonicalPath(), canonicalQuery(c.r.URL.RawQuery), c.canonicalHeaders(), strings.Join(sig.headers, ";"), hash}, "\n")
	scope := strings.Join([]string{sig.day, sig.region, sig.service, "aws4_request"}, "/")
	toSign := strings.Join([]string{algorithm, sig.at.Format(timeFormat), scope, hexSum([]byte(canonical))}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{sig.day, sig.region, sig.service, "aws4_request", toSign} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if !hmac.Equal([]byte(hex.EncodeToString(key)), []byte(sig.text)) {
		return &refusal{http.StatusForbidden, "SignatureDoesNotMatch", "InvalidSignatureException", "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
	}
	return nil
}

func (c *call) payloadHash() (string, *refusal) {
	given, sum := c.r.Header.Get("X-Amz-Content-Sha256"), hexSum(c.body)
	switch {
	case c.sig.life > 0:
		return "UNSIGNED-PAYLOAD", nil
	case c.sig.service == "s3" && given == "":
		return "", &refusal{http.StatusBadRequest, "InvalidRequest", "", "Missing required header for this request: x-amz-content-sha256"}
	case c.sig.service == "s3" && given == "UNSIGNED-PAYLOAD":
		return given, nil
	case given != "" && given != sum:
		return "", &refusal{http.StatusBadRequest, "XAmzContentSHA256Mismatch", "", "The provided 'x-amz-content-sha256' header does not match what was computed."}
	}
	return sum, nil
}

// canonicalPath is encoded once for S3, twice for all others.
func (c *call) canonicalPath() string {
	path := c.r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	if c.sig.service == "s3" {
		return path
	}
	return strings.ReplaceAll(escape(path), "%2F", "/")
}

func canonicalQuery(raw string) string {
	values, _ := url.ParseQuery(raw)
	var all []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if name == "X-Amz-Signature" {
			continue
		}
		slices.Sort(values[name])
		for _, v := range values[name] {
			all = append(all, escape(name)+"="+escape(v))
		}
	}
	return strings.Join(all, "&")
}

func (c *call) canonicalHeaders() string {
	var out strings.Builder
	for _, name := range c.sig.headers {
		values := c.r.Header.Values(name)
		switch name {
		case "host":
			values = []string{c.r.Host}
		case "content-length":
			values = []string{strconv.FormatInt(c.r.ContentLength, 10)}
		}
		fmt.Fprintf(&out, "%s:", name)
		for i, v := range values {
			if i > 0 {
				out.WriteByte(',')
			}
			out.WriteString(strings.Join(strings.Fields(v), " "))
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// escape is the encoding of RFC 3986 that signatures are made of.
func escape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
