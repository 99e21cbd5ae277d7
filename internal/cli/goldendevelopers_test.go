package cli

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// usualDocuments are a daemon's answers about developers' documents.
var usualDocuments = map[string]http.HandlerFunc{
	"GET /v1/developers": say(`{"items":[
		{"developer":"acme","version":57,"at":"2026-07-01T11:59:30Z","by":"support","destinations":7},
		{"developer":"globex-international","version":3,"at":"2026-06-28T12:00:00Z","by":"a-token-with-a-long-name","destinations":1,
			"faults":["globex-international:4: destination app: settings.url: must be https, or http with allow_http: true\nglobex-international:5: destination app: settings.secret: is required"]},
		{"developer":"umbrella","destinations":12}],"next":""}`),
	"GET /v1/developers/acme":                  say("developer: acme\ndestinations:\n- name: app\n  kind: webhook\n  settings:\n    url: https://acme.example/hooks\n    secret: '[redacted]'\n"),
	"GET /v1/developers/globex-international":  say("developer: globex-international\ndestinations: []\n"),
	"GET /v1/developers/umbrella":              say("developer: umbrella\ndestinations: []\n"),
	"GET /v1/developers/acme/destinations/app": say("name: app\nkind: webhook\nsettings:\n  url: https://acme.example/hooks\n"),
	"GET /v1/developers/acme/versions": say(`{"items":[{"developer":"acme","version":57,"at":"2026-07-01T11:59:30Z","by":"support"},
		{"developer":"acme","version":56,"at":"2026-06-30T11:59:30Z","by":"backend","deleted":true},{"developer":"acme","version":55,"at":"2026-06-28T11:59:30Z","by":"import"}]}`),
	"PUT /v1/developers/acme": say(`{"developer":"acme","version":58,"plan":[{"do":"add","developer":"acme","destination":"new"},
		{"do":"change","developer":"acme","destination":"app","keys":["events","headers.X-A-Header-With-A-Long-Name","rate_limit","retry","secret","url"]},
		{"do":"remove","developer":"acme","destination":"old","pending":39}],"notes":["acme:6: destination app: settings.secret: has fewer than 16 characters"]}`),
	"PUT /v1/developers/globex": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(422)
		say(`{"error":{"code":"invalid_document","message":"the document has faults, and nothing was changed:\nglobex:2: destinations: must be a list\nglobex:3: unknown key frobnicate: known are destinations, developer"},
			"faults":[{"line":2,"message":"destinations: must be a list"},{"line":3,"message":"unknown key frobnicate: known are destinations, developer"}]}`)(w, nil)
	},
	"DELETE /v1/developers/acme":                              say(`{"developer":"acme","plan":[{"do":"remove","developer":"acme","destinations":7,"pending":39}],"events_erased":1204,"cancelled":39,"left":"payloads in the operator's bucket: remove what lies below {day}/acme/ there"}`),
	"DELETE /v1/developers/globex":                            deny(409, "choose_data", "say what becomes of what the developer has: - globex (1 destination, 2 pending). Nothing was changed"),
	"POST /v1/developers/acme/restore":                        say(`{"developer":"acme","version":58,"plan":[{"do":"change","developer":"acme","destination":"app","keys":["url"]}]}`),
	"POST /v1/developers/acme/destinations/app/rotate-secret": say(`{"developer":"acme","version":58,"plan":[],"secret":"whsk_c2VjcmV0","public_key":"whpk_cHVibGlj","rotate_at":"2026-07-02T12:00:00Z"}`),
	"POST /v1/reload": say(`{"reloaded":true,"plan":[{"do":"add","developer":"acme","destination":"new"},{"do":"change","developer":"globex","destination":"hooks","keys":["url"]},
		{"do":"remove","developer":"umbrella","destinations":3,"pending":39}],"notes":["fantail.yaml:3: tokens[0].developers[0]: there is no developer initech"],"waiting":["listen"]}`),
}

var evilDocuments = map[string]http.HandlerFunc{
	"GET /v1/developers":                       say(strings.ReplaceAll(`{"items":[{"developer":"BAD","version":1,"at":"2026-07-01T11:59:30Z","by":"BAD","destinations":1,"faults":["BAD","BAD"]},{"developer":"../acme","version":18446744073709551615,"destinations":-1}],"next":""}`, "BAD", bad)),
	"GET /v1/developers/acme":                  say("developer: acme\n# \x1b[2J\u202efake row\r\a日本語שלום\n"),
	"GET /v1/developers/acme/destinations/app": say("name: \x1b[2J\u202efake row\n"),
	"GET /v1/developers/acme/versions":         say(strings.ReplaceAll(`{"items":[{"developer":"BAD","version":1,"at":"2026-07-01T11:59:30Z","by":"BAD"}]}`, "BAD", bad)),
	"PUT /v1/developers/acme": say(strings.ReplaceAll(`{"developer":"BAD","version":58,"plan":[{"do":"BAD","developer":"BAD","destination":"BAD","keys":["BAD"]},
		{"do":"change","developer":"BAD","keys":["BAD","BAD"]}],"notes":["BAD"]}`, "BAD", bad)),
	"PUT /v1/developers/globex": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(422)
		say(strings.ReplaceAll(`{"error":{"code":"BAD","message":"a BAD b\nBAD"},"faults":[{"line":-1,"message":"BAD"}]}`, "BAD", bad))(w, nil)
	},
	"DELETE /v1/developers/acme":                              say(strings.ReplaceAll(`{"developer":"BAD","plan":[{"do":"BAD","developer":"BAD"}],"left":"BAD"}`, "BAD", bad)),
	"DELETE /v1/developers/globex":                            deny(409, "choose_data", "\x1b[2J\u202efake row\r\n日本語"),
	"POST /v1/developers/acme/restore":                        say(strings.ReplaceAll(`{"developer":"BAD","version":58,"plan":[{"do":"BAD","developer":"BAD"}],"notes":["BAD"]}`, "BAD", bad)),
	"POST /v1/developers/acme/destinations/app/rotate-secret": say(strings.ReplaceAll(`{"developer":"BAD","version":58,"plan":[],"secret":"BAD","public_key":"BAD","rotate_at":"2026-07-02T12:00:00Z"}`, "BAD", bad)),
	"POST /v1/reload":                                         say(strings.ReplaceAll(`{"reloaded":true,"plan":[{"do":"BAD","developer":"BAD","keys":["BAD"]}],"notes":["BAD"],"waiting":["BAD"]}`, "BAD", bad)),
}

// The commands for developers' documents, with a usual daemon and with a hostile one.
func TestGoldenDevelopers(t *testing.T) {
	dir := t.TempDir()
	files := filepath.Join(dir, "developers")
	put(t, filepath.Join(files, "acme.yaml"), paperDoc("acme", "https://one.example"))
	put(t, filepath.Join(files, "globex.yaml"), "developer: globex\ndestinations: 5\nfrobnicate: 1\n")
	for set, answers := range map[string]map[string]http.HandlerFunc{"usual": usualDocuments, "hostile": evilDocuments} {
		pictures := map[string]picture{}
		for _, command := range []string{
			"developers list", "developers get acme", "developers get acme/app", "developers get nobody", "developers versions acme", "developers restore acme 55",
			"developers restore acme 55 --dry-run", "developers rotate-secret acme/app", "developers delete acme --data erase", "developers delete globex", "developers edit acme",
			"developers import FILES", "developers export FILES", "apply -f FILES", "apply -f FILES/acme.yaml --dry-run", "apply -f FILES --prune", "diff -f FILES/acme.yaml", "reload", "reload --dry-run",
		} {
			pictures[command] = picture{
				args: strings.Fields(strings.ReplaceAll(command, "FILES", files)), in: "y\n", hide: dir,
				whole:   command != "developers list" && command != "developers versions acme",
				answers: func() map[string]http.HandlerFunc { return answers },
			}
		}
		album(t, set+" developers", pictures)
	}
}
