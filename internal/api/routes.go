package api

import (
	"errors"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// operation is one call of the API. The error of do is answered as JSON.
type operation struct {
	may   scope // needed to call it
	do    func(*API, *call) error
	query params // any other parameter is refused
}

// params are the names that a query may have. One that ends in * may stand several times.
type params []string

// anyQuery is for an operation that judges its query itself, and for those that load
// balancers probe, whose probes may add what they like.
var anyQuery = params{"*"}

// endpoint is what stands at one path, by method.
type endpoint map[string]operation

// routes is the whole API.
var routes = map[string]endpoint{
	"/v1/events": {
		"POST": {canIngest, (*API).postEvent, nil},
		"GET":  {canRead, (*API).listEvents, params{"developer", "type*", "user", "reference", "since", "until", "unmatched", "limit", "cursor"}},
	},
	"/v1/events/batch":            {"POST": {canIngest, (*API).postBatch, nil}},
	"/v1/events/{id}":             {"GET": {canRead, (*API).getEvent, nil}},
	"/v1/events/{id}/body":        {"GET": {canRead, (*API).getBody, nil}},
	"/v1/deliveries":              {"GET": {canRead, (*API).listDeliveries, params{"developer", "destination", "state*", "event", "type*", "user", "class*", "code*", "detail", "since", "until", "limit", "cursor"}}},
	"/v1/deliveries/retry":        {"POST": {canOperate, (*API).retryMany, nil}},
	"/v1/deliveries/cancel":       {"POST": {canOperate, (*API).cancelMany, nil}},
	"/v1/deliveries/{id}":         {"GET": {canRead, (*API).getDelivery, nil}},
	"/v1/deliveries/{id}/request": {"GET": {canRead, (*API).deliveryRequest, nil}},
	"/v1/deliveries/{id}/retry":   {"POST": {canOperate, (*API).retryOne, nil}},
	"/v1/deliveries/{id}/cancel":  {"POST": {canOperate, (*API).cancelOne, nil}},
	"/v1/replays": {
		"POST": {canOperate, (*API).createReplay, nil},
		"GET":  {canRead, (*API).listReplays, params{"developer", "limit", "cursor"}},
	},
	"/v1/replays/{id}": {"GET": {canRead, (*API).getReplay, nil}, "DELETE": {canOperate, (*API).cancelReplay, nil}},
	"/v1/destinations": {"GET": {canRead, (*API).listDestinations, params{"developer", "state", "failing", "q", "sort", "totals", "outcomes", "limit", "cursor"}}},
	"/v1/destinations/{developer}/{destination}/pause":   {"POST": {canOperate, (*API).pause, nil}},
	"/v1/destinations/{developer}/{destination}/resume":  {"POST": {canOperate, (*API).resume, nil}},
	"/v1/destinations/{developer}/{destination}/rebind":  {"POST": {canOperate, (*API).rebind, nil}},
	"/v1/destinations/{developer}/{destination}/check":   {"POST": {canOperate, (*API).check, nil}},
	"/v1/destinations/{developer}/{destination}/test":    {"POST": {canOperate, (*API).test, params{"type", "provider", "user", "seed"}}},
	"/v1/destinations/{developer}/{destination}/history": {"GET": {canRead, (*API).history, params{"since", "until", "limit", "cursor"}}},
	"/v1/session": {
		"POST":   {anyone, (*API).createSession, nil},
		"GET":    {withAnyRight, (*API).getSession, nil},
		"DELETE": {withAnyRight, (*API).deleteSession, nil},
	},
	"/v1/portal-links": {
		"POST": {canLink, (*API).createPortalLink, nil},
		"GET":  {canLink, (*API).listPortalLinks, params{"developer", "limit", "cursor"}},
	},
	"/v1/portal-links/{id}":          {"DELETE": {canLink, (*API).revokePortalLink, nil}},
	"/v1/explain":                    {"POST": {canRead, (*API).explainEvent, nil}},
	"/v1/event-types":                {"GET": {canRead | canConfigure, (*API).eventTypes, nil}},
	"/v1/event-types/{type}/example": {"GET": {canRead | canConfigure, (*API).exampleEvent, params{"provider", "user", "seed"}}},
	"/v1/settings":                   {"GET": {canRead, (*API).settings, nil}},
	"/v1/destinations/{developer}/{destination}/settings": {"GET": {canRead, (*API).destinationSettings, nil}},
	"/v1/changes":    {"GET": {canRead, (*API).listChanges, params{"developer", "by", "call", "since", "until", "limit", "cursor"}}},
	"/v1/developers": {"GET": {canRead | canConfigure, (*API).listDevelopers, params{"q", "limit", "cursor"}}},
	"/v1/developers/{developer}": {
		"GET":    {canRead | canConfigure, (*API).getDeveloper, nil},
		"PUT":    {canConfigure, (*API).putDeveloper, params{"dry_run", "allow_removal"}},
		"DELETE": {canConfigure, (*API).deleteDeveloper, params{"data", "dry_run"}},
	},
	"/v1/developers/{developer}/versions":           {"GET": {canRead | canConfigure, (*API).listVersions, nil}},
	"/v1/developers/{developer}/versions/{version}": {"GET": {canRead | canConfigure, (*API).getVersion, nil}},
	"/v1/developers/{developer}/restore":            {"POST": {canConfigure, (*API).restoreDeveloper, params{"dry_run", "allow_removal"}}},
	"/v1/developers/{developer}/destinations/{destination}": {
		"GET":    {canRead | canConfigure, (*API).getDeveloperDestination, nil},
		"PUT":    {canConfigure, (*API).putDeveloperDestination, params{"dry_run", "allow_removal"}},
		"DELETE": {canConfigure, (*API).deleteDeveloperDestination, params{"dry_run", "allow_removal"}},
	},
	"/v1/developers/{developer}/destinations/{destination}/rotate-secret": {"POST": {canConfigure, (*API).rotateSecret, params{"dry_run"}}},
	"/v1/live":                             {"GET": {canRead, (*API).live, params{"developer", "destination", "tell*"}}},
	"/v1/audit":                            {"GET": {canRead, (*API).audit, params{"developer", "deep"}}},
	"/v1/series":                           {"GET": {canRead, (*API).showSeries, params{"developer", "destination", "kind", "range"}}},
	"/v1/usage":                            {"GET": {canRead, (*API).usage, params{"developer", "destination", "since", "until", "by"}}},
	"/v1/users/{id}/data":                  {"DELETE": {canOperate, (*API).erase, params{"developer"}}},
	"/v1/payloads/{id}/link":               {"POST": {canRead, (*API).linkPayload, nil}},
	"/payloads/{day}/{developer}/{object}": {"GET": {anyone, (*API).getPayload, anyQuery}},
	"/v1/reload":                           {"POST": {canOperate, (*API).reload, params{"dry_run", "allow_removal"}}},
	"/v1/backup":                           {"POST": {canOperate, (*API).backup, nil}},
	"/v1/daemons":                          {"GET": {canRead, (*API).daemons, nil}},
	"/v1/egress":                           {"GET": {canRead, (*API).egress, nil}},
	"/v1/limits":                           {"GET": {canRead, (*API).limits, nil}},
	"/metrics":                             {"GET": {canRead, (*API).metrics, params{"name[]*"}}},
	"/healthz":                             {"GET": {anyone, (*API).healthz, anyQuery}},
	"/readyz":                              {"GET": {anyone, (*API).readyz, anyQuery}},
	"/openapi.yaml":                        {"GET": {anyone, (*API).openapi, nil}},
}

// newMux registers paths without methods: the mux's own answers to a wrong
// method or an unknown path are not JSON. The pages of the console are no calls: they
// are served to anybody, and ask for a token themselves.
func (a *API) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, e := range routes {
		allow := slices.Collect(maps.Keys(e))
		if _, get := e["GET"]; get {
			allow = append(allow, "HEAD")
		}
		slices.Sort(allow)
		mux.Handle(pattern, a.at(pattern, e, strings.Join(allow, ", ")))
	}
	if a.Console != nil {
		mux.Handle("/console/", a.Console)
		mux.HandleFunc("/console", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "console/") // relative: a proxy may have put a prefix before it
			w.WriteHeader(http.StatusMovedPermanently)
		})
	}
	if a.Peers != nil {
		for path, do := range peerCalls {
			mux.Handle(path, a.fromPeer(do))
		}
	}
	mux.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.fail(w.(*call), notFound("there is nothing at this path"))
	}))
	return mux
}

// at answers the requests for one path.
func (a *API) at(pattern string, e endpoint, allow string) http.Handler {
	names := make(map[string]string, len(e))
	for method := range e {
		names[method] = operationIDs[method+" "+pattern]
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := w.(*call)
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		op, ok := e[method]
		if !ok {
			c.Header().Set("Allow", allow)
			a.fail(c, refuse(405, "method_not_allowed", "allowed here: "+allow))
			return
		}
		c.operation = names[method]
		if ownDelivery(r) {
			a.fail(c, errOwnDelivery) // before its token is looked at: the log of its attempts has to say what is wrong
			return
		}
		admitted := a.admit(c, op.may)
		if c.who != nil || op.may == anyone {
			admitted = errors.Join(admitted, a.begin(c, pattern, method, op.may))
		}
		if admitted != nil {
			a.fail(c, admitted)
			return
		}
		if err := c.readQuery(op.query); err != nil {
			a.fail(c, err)
			return
		}
		if r.ContentLength != 0 && method != http.MethodPost && method != http.MethodPut && op.may != anyone {
			// What somebody wrote there, a filter for instance, would not count.
			a.fail(c, refuse(400, "invalid_request", "this call takes no body"))
			return
		}
		if err := op.do(a, c); err != nil {
			a.fail(c, err)
		}
		if c.before != nil {
			c.WriteHeader(http.StatusOK) // as net/http would
		}
	})
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{ResponseWriter: w, r: r}
	defer a.rescue(c)
	if r.ContentLength != 0 {
		c.mayTakeFor(drain)
	}
	h := w.Header()
	h["X-Content-Type-Options"] = nosniff
	h["Cache-Control"] = noStore
	// The mux would redirect an unclean path, which no client of good will sends.
	if p := r.URL.EscapedPath(); p == "" || path.Clean(p) != p && p != "/console/" {
		a.fail(c, notFound("there is nothing at this path"))
		return
	}
	a.mux.ServeHTTP(c, r)
}

// Shared by all answers, so that setting them allocates nothing.
var (
	nosniff = []string{"nosniff"}
	noStore = []string{"no-store"}
	asJSON  = []string{"application/json"}
)
