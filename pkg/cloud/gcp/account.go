package gcp

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/endpoint"
	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// account is a service account with its private key.
type account struct {
	email    string
	keyID    string
	key      *rsa.PrivateKey
	tokenURI *url.URL
}

// scope is what tokens are good for. A predefined acl needs full control; what
// the account may really do is for its roles to say.
const scope = "https://www.googleapis.com/auth/devstorage.full_control"

const defaultTokenURI = "https://oauth2.googleapis.com/token"

// parseAccount reads a service account's JSON key. Other types of credentials
// name programs to run, files to read and URLs to ask, and are refused. Its
// errors show nothing of the text.
func parseAccount(text string, allowHTTP bool) (*account, error) {
	var f struct {
		Type     string `json:"type"`
		Email    string `json:"client_email"`
		KeyID    string `json:"private_key_id"`
		Key      string `json:"private_key"`
		TokenURI string `json:"token_uri"`
		Universe string `json:"universe_domain"`
	}
	if len(text) > 64<<10 || json.Unmarshal([]byte(text), &f) != nil {
		return nil, errors.New("is not the JSON key of a service account")
	}
	if f.Type != "service_account" {
		return nil, errors.New("must be of type service_account: create a JSON key of a service account; no other type is taken")
	}
	if name, domain, ok := strings.Cut(f.Email, "@"); !ok || name == "" || domain == "" || strings.ContainsFunc(f.Email, unseen) {
		return nil, errors.New("has no client_email")
	}
	if f.Universe != "" && f.Universe != "googleapis.com" {
		return nil, errors.New("is of another universe_domain than googleapis.com, which is not supported")
	}
	key, err := parseKey(f.Key)
	if err != nil {
		return nil, err
	}
	if f.TokenURI == "" {
		f.TokenURI = defaultTokenURI
	}
	u, err := endpoint.Parse(f.TokenURI, allowHTTP)
	if err != nil {
		return nil, errors.New("token_uri " + err.Error())
	}
	return &account{f.Email, f.KeyID, key, u}, nil
}

func unseen(r rune) bool { return r <= ' ' || r >= 0x7f }

func parseKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("has no private_key in PEM form")
	}
	if err := signature.CheckPrivateKey(block.Bytes); err != nil {
		return nil, fmt.Errorf("private_key %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok || key.N.BitLen() < 2048 {
		return nil, errors.New("has no private_key that is an RSA key of at least 2048 bits")
	}
	return key, nil
}

func (a *account) sign(text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	return rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, sum[:])
}

// assertion is the signed statement that buys a token (RFC 7523). It is good
// for the token endpoint that it names and for nobody else.
func (a *account) assertion(now time.Time) (string, error) {
	part := func(v any) string {
		b, _ := json.Marshal(v) // texts and numbers
		return base64.RawURLEncoding.EncodeToString(b)
	}
	// A clock a little ahead of Google's would make a token from the future.
	issued := now.Add(-10 * time.Second).Unix()
	text := part(map[string]any{"alg": "RS256", "typ": "JWT", "kid": a.keyID}) + "." + part(map[string]any{
		"iss": a.email, "scope": scope, "aud": a.tokenURI.String(), "iat": issued, "exp": issued + 3600,
	})
	signature, err := a.sign([]byte(text))
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
