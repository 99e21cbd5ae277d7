package supabase

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
)

// What the dashboard shows beside what belongs into the settings is told apart
// here, so that validate can say what to give instead.

const (
	rightKey = "give the service_role key or a secret key (sb_secret_...) of Project Settings > API Keys"
	rightURL = "give the project's own, https://<reference>.supabase.co"
)

// projectReference is how the platform names projects.
var projectReference = regexp.MustCompile(`^[a-z]{20}$`)

// services are what a gateway has behind it.
var services = regexp.MustCompile(`/(rest|storage|auth|graphql|realtime|functions)/v1(/|$)|/pg(/|$)`)

// wrongURL says what a URL is that is not a project's, "" if it may be one.
func wrongURL(u *url.URL) string {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	labels := strings.Split(host, ".")
	own := rightURL
	for _, part := range append(labels, strings.Split(u.Path, "/")...) {
		if projectReference.MatchString(part) {
			own = "give the project's own, https://" + part + ".supabase.co"
			break
		}
	}
	platform := strings.HasSuffix(host, ".supabase.co") || strings.HasSuffix(host, ".supabase.com") || host == "supabase.com" || host == "supabase.io"
	switch {
	case strings.Contains(u.Path, "/dashboard") || platform && (labels[0] == "supabase" || labels[0] == "app" || labels[0] == "www"):
		return "is a page of the dashboard: " + own
	case platform && (labels[0] == "db" || strings.HasSuffix(host, ".pooler.supabase.com")):
		return "is the database's host, which belongs into complete.dsn: " + own
	case platform && labels[0] == "api":
		return "is the Management API, which belongs to complete.access_token: " + own
	case platform && len(labels) == 4 && projectReference.MatchString(labels[0]):
		return "is the host of one service (" + labels[1] + ") of the project: " + own
	case services.MatchString(u.Path + "/"):
		return "must end before " + strings.TrimSuffix(services.FindString(u.Path+"/"), "/") + ", which is one of the services that a project has"
	}
	return ""
}

// claims are what a key says of itself. Whether it is true the project judges.
type claims struct {
	Role string `json:"role"`
	Ref  string `json:"ref"`
}

// claimsOf reads a JWT without verifying it; a secret key says nothing.
func claimsOf(key string) (c claims) {
	parts := strings.Split(key, ".")
	if len(parts) != 3 || len(parts[1]) > 4096 {
		return c
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || parsing.JSON(text, &c) != nil {
		return claims{}
	}
	return c
}

// roleOf is the database's role of a key: PostgREST and storage act as it.
func roleOf(key string) string {
	if role := claimsOf(key).Role; identifier.MatchString(role) {
		return role
	}
	return "service_role"
}

// wrongKey says why a key cannot serve in the project at u, "" if it may.
func wrongKey(key string, u *url.URL) string {
	c := claimsOf(key)
	switch {
	case c.Role == "anon" || c.Role == "authenticated":
		return "is the key of the role " + c.Role + ", which is public and may write nothing: " + rightKey
	case strings.HasPrefix(key, "sb_publishable_"):
		return "is a publishable key, which may write nothing: " + rightKey
	case strings.HasPrefix(key, "sbp_"):
		return "is an access token of the Management API, which belongs into complete.access_token: " + rightKey
	}
	if u == nil || !projectReference.MatchString(c.Ref) {
		return ""
	}
	ref, domain, _ := strings.Cut(u.Hostname(), ".")
	if domain == "supabase.co" && projectReference.MatchString(ref) && ref != c.Ref { // others are names of one's own choice
		return "is of the project " + c.Ref + ", and url names another: " + rightKey
	}
	return ""
}
