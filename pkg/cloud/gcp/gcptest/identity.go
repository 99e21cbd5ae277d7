package gcptest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MachineEmail is the service account that the metadata service speaks for.
const MachineEmail = "machine@test.iam.gserviceaccount.com"

const metadataPath = "/computeMetadata/v1/instance/service-accounts/default/"

// who returns whom the request's token stands for.
func (g *Google) who(r *http.Request) (email string, ok bool) {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found {
		return "allUsers", r.Header.Get("Authorization") == ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	b, ok := g.tokens[token]
	return b.email, ok && time.Now().Before(b.until)
}

func (g *Google) issue(w http.ResponseWriter, email string) {
	random := make([]byte, 20)
	rand.Read(random)
	token := TokenPrefix + hex.EncodeToString(random)
	g.mu.Lock()
	g.tokens[token] = bearer{email, time.Now().Add(g.life)}
	life := g.life
	g.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "expires_in": int(life.Seconds()), "token_type": "Bearer"})
}

// grantToken is the token endpoint: RFC 7523 as Google documents it under
// "Using OAuth 2.0 for Server to Server Applications".
func (g *Google) grantToken(w http.ResponseWriter, r *http.Request) {
	email, err := g.assertion(r)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant", "error_description": err.Error()})
		return
	}
	g.issue(w, email)
}

// refusal is an error in Google's own words.
type refusal string

func (r refusal) Error() string { return string(r) }

func (g *Google) assertion(r *http.Request) (email string, err error) {
	if r.Method != http.MethodPost || r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return "", fmt.Errorf("no such grant")
	}
	parts := strings.Split(r.PostFormValue("assertion"), ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("no JWT")
	}
	var raw [3][]byte
	for i, p := range parts {
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return "", err
		}
	}
	var head struct{ Alg, Typ, Kid string }
	var claims struct {
		Iss, Scope, Aud string
		Iat, Exp        int64
	}
	if err := json.Unmarshal(raw[0], &head); err != nil {
		return "", err
	}
	if err := json.Unmarshal(raw[1], &claims); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := time.Now().Unix()
	g.mu.Lock()
	_, known := g.rights[claims.Iss]
	g.mu.Unlock()
	switch {
	case head.Alg != "RS256" || head.Typ != "JWT" || head.Kid != "key-1":
		return "", fmt.Errorf("unknown key")
	case rsa.VerifyPKCS1v15(&g.key.PublicKey, crypto.SHA256, sum[:], raw[2]) != nil:
		return "", refusal("Invalid JWT Signature.")
	case !known:
		return "", refusal("Invalid grant: account not found")
	case claims.Aud != "http://"+r.Host+"/token" && claims.Aud != "https://"+r.Host+"/token":
		return "", fmt.Errorf("audience %q", claims.Aud)
	case claims.Iat > now || claims.Exp < now || claims.Exp-claims.Iat > 3600:
		return "", refusal("Token must be a short-lived token (60 minutes) and in a reasonable timeframe.")
	case !strings.HasPrefix(claims.Scope, "https://www.googleapis.com/auth/devstorage."):
		return "", fmt.Errorf("scope %q", claims.Scope)
	}
	return claims.Iss, nil
}

// metadata is the metadata service of a machine.
func (g *Google) metadata(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Metadata-Flavor") != "Google" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.Header().Set("Metadata-Flavor", "Google")
	switch strings.TrimPrefix(r.URL.Path, metadataPath) {
	case "token":
		g.issue(w, MachineEmail)
	case "email":
		fmt.Fprint(w, MachineEmail)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// signBlob is the method of the IAM Credentials API; only an account with the
// permission iam.serviceAccounts.signBlob may have itself signed for.
func (g *Google) signBlob(w http.ResponseWriter, r *http.Request) {
	email, ok := g.who(r)
	var in struct {
		Payload []byte `json:"payload"`
	}
	switch {
	case !ok || email == "allUsers":
		Refuse(w, http.StatusUnauthorized, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
	case !g.may(email, "iam.serviceAccounts.signBlob") || r.URL.Path != "/v1/projects/-/serviceAccounts/"+email+":signBlob":
		Refuse(w, http.StatusForbidden, "PERMISSION_DENIED", "Permission 'iam.serviceAccounts.signBlob' denied on resource (or it may not exist).")
	case json.NewDecoder(r.Body).Decode(&in) != nil:
		Refuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", "no JSON")
	default:
		sum := sha256.Sum256(in.Payload)
		signature, _ := rsa.SignPKCS1v15(nil, g.key, crypto.SHA256, sum[:])
		_ = json.NewEncoder(w).Encode(map[string]any{"keyId": "k", "signedBlob": signature})
	}
}

// link serves a signed link, recomputing the signature as
// cloud.google.com/storage/docs/authentication/canonical-requests has it.
func (g *Google) link(w http.ResponseWriter, r *http.Request) {
	if err := g.Verify(r, time.Now()); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	bucket, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	o := g.Object(bucket, name)
	if o == nil {
		http.Error(w, "NoSuchKey", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", o.ContentType)
	w.Header().Set("ETag", `"`+o.Etag+`"`)
	_, _ = w.Write(o.Content)
}

// Verify says what is wrong with a signed link at a time; nil: nothing.
func (g *Google) Verify(r *http.Request, now time.Time) error {
	var canonical, signature string
	for _, pair := range strings.Split(r.URL.RawQuery, "&") { // as it came, which must be sorted
		if s, ok := strings.CutPrefix(pair, "X-Goog-Signature="); ok {
			signature = s
		} else {
			if last := canonical[strings.LastIndexByte(canonical, '&')+1:]; pair <= last {
				return fmt.Errorf("SignatureDoesNotMatch: %s is not in order", pair)
			}
			canonical += "&" + pair
		}
	}
	q := r.URL.Query()
	at, err := time.Parse("20060102T150405Z", q.Get("X-Goog-Date"))
	life, err2 := strconv.Atoi(q.Get("X-Goog-Expires"))
	scope := at.Format("20060102") + "/auto/storage/goog4_request"
	email, ofScope := strings.CutSuffix(q.Get("X-Goog-Credential"), "/"+scope)
	switch {
	case err != nil || err2 != nil || !ofScope || q.Get("X-Goog-Algorithm") != "GOOG4-RSA-SHA256" || q.Get("X-Goog-SignedHeaders") != "host":
		return fmt.Errorf("AuthenticationRequired")
	case life < 1 || life > 604800:
		return fmt.Errorf("InvalidArgument: life")
	case now.Before(at.Add(-15*time.Minute)) || now.After(at.Add(time.Duration(life)*time.Second)):
		return fmt.Errorf("ExpiredToken")
	case !g.may(email, Get):
		return fmt.Errorf("AccessDenied: %s", email)
	}
	// The path as RFC 3986 has it: all but unreserved characters and slashes encoded.
	var path strings.Builder
	for _, c := range []byte(r.URL.Path) {
		if c == '/' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			path.WriteByte(c)
		} else {
			fmt.Fprintf(&path, "%%%02X", c)
		}
	}
	request := strings.Join([]string{r.Method, path.String(), canonical[1:], "host:" + r.Host, "", "host", "UNSIGNED-PAYLOAD"}, "\n")
	hash := sha256.Sum256([]byte(request))
	toSign := strings.Join([]string{"GOOG4-RSA-SHA256", q.Get("X-Goog-Date"), scope, hex.EncodeToString(hash[:])}, "\n")
	sum := sha256.Sum256([]byte(toSign))
	given, err := hex.DecodeString(signature)
	if err != nil || rsa.VerifyPKCS1v15(&g.key.PublicKey, crypto.SHA256, sum[:], given) != nil {
		return fmt.Errorf("SignatureDoesNotMatch")
	}
	return nil
}
