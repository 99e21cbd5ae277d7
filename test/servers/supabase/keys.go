package supabase

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// jwtSecret signs the keys of every project. It is the one that self-hosted projects
// begin with.
const jwtSecret = "super-secret-jwt-token-with-at-least-32-characters-long"

// Claims are those of a key.
type Claims map[string]any

// ServiceKey is the service_role key of every project.
var ServiceKey = Sign(Claims{"iss": "supabase", "role": "service_role", "iat": 1600000000, "exp": 4102444800}, jwtSecret)

// Sign makes a JWT of HS256.
func Sign(claims Claims, secret string) string {
	payload, _ := json.Marshal(claims) // texts and numbers always encode
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(head))
	return head + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Issue makes a key with these claims that the gateway accepts.
func (p *Project) Issue(claims Claims) string {
	key := Sign(claims, jwtSecret)
	p.Accept(key)
	return key
}

// Accept has the gateway accept a key, whatever the services make of it.
func (p *Project) Accept(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys[key] = true
}

// Revoke has the gateway refuse a key.
func (p *Project) Revoke(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.keys, key)
}

func (p *Project) accepts(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[key]
}

// flaw is what is wrong with a JWT.
type flaw int

const (
	sound flaw = iota
	noJWT
	forged
	expired
	early
)

// read verifies a JWT and returns its claims if it is sound.
func read(token string, now time.Time) (Claims, flaw) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, noJWT
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims Claims
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return nil, noJWT
	}
	at := func(name string) (time.Time, bool) {
		n, ok := claims[name].(float64)
		return time.Unix(int64(n), 0), ok
	}
	if Sign(claims.integers(), jwtSecret) != token {
		return nil, forged
	}
	if t, ok := at("exp"); ok && now.After(t) {
		return nil, expired
	}
	if t, ok := at("nbf"); ok && now.Before(t) {
		return nil, early
	}
	return claims, sound
}

// integers writes the numbers as they were signed.
func (c Claims) integers() Claims {
	all := Claims{}
	for name, v := range c {
		if n, ok := v.(float64); ok {
			v = json.Number(strconv.FormatInt(int64(n), 10))
		}
		all[name] = v
	}
	return all
}

// role is the database role that the key stands for.
func (c Claims) role() string {
	role, _ := c["role"].(string)
	return role
}

func bearer(header string) string {
	_, token, _ := strings.Cut(header, " ")
	return token
}
