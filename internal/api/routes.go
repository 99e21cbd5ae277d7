package api

import (
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// operation is one call of the API. The error of do is answered as JSON.
type operation struct {
	may scope // needed to call it
	do  func(*API, *call) error
}

// endpoint is what stands at one path, by method.
type endpoint map[string]operation

// routes is the whole API.
var routes = map[string]endpoint{
	"/v1/events":                 {"POST": {canIngest, (*API).postEvent}, "GET": {canRead, (*API).listEvents}},
	"/v1/events/batch":           {"POST": {canIngest, (*API).postBatch}},
	"/v1/events/{id}":            {"GET": {canRead, (*API).getEvent}},
	"/v1/events/{id}/body":       {"GET": {canRead, (*API).getBody}},
	"/v1/deliveries":             {"GET": {canRead, (*API).listDeliveries}},
	"/v1/deliveries/retry":       {"POST": {canOperate, (*API).retryMany}},
	"/v1/deliveries/cancel":      {"POST": {canOperate, (*API).cancelMany}},
	"/v1/deliveries/{id}":        {"GET": {canRead, (*API).getDelivery}},
	"/v1/deliveries/{id}/retry":  {"POST": {canOperate, (*API).retryOne}},
	"/v1/deliveries/{id}/cancel": {"POST": {canOperate, (*API).cancelOne}},
	"/v1/replays":                {"POST": {canOperate, (*API).createReplay}, "GET": {canRead, (*API).listReplays}},
	"/v1/replays/{id}":           {"GET": {canRead, (*API).getReplay}, "DELETE": {canOperate, (*API).cancelReplay}},
	"/v1/destinations":           {"GET": {canRead, (*API).listDestinations}},
	"/v1/destinations/{developer}/{destination}/pause":  {"POST": {canOperate, (*API).pause}},
	"/v1/destinations/{developer}/{destination}/resume": {"POST": {canOperate, (*API).resume}},
	"/v1/destinations/{developer}/{destination}/rebind": {"POST": {canOperate, (*API).rebind}},
	"/v1/destinations/{developer}/{destination}/check":  {"POST": {canOperate, (*API).check}},
	"/v1/destinations/{developer}/{destination}/test":   {"POST": {canOperate, (*API).test}},
	"/v1/audit":                            {"GET": {canRead, (*API).audit}},
	"/v1/users/{id}/data":                  {"DELETE": {canOperate, (*API).erase}},
	"/v1/payloads/{id}/link":               {"POST": {canRead, (*API).linkPayload}},
	"/payloads/{day}/{developer}/{object}": {"GET": {anyone, (*API).getPayload}},
	"/v1/reload":                           {"POST": {canOperate, (*API).reload}},
	"/v1/backup":                           {"POST": {canOperate, (*API).backup}},
	"/v1/egress":                           {"GET": {canRead, (*API).egress}},
	"/metrics":                             {"GET": {canRead, (*API).metrics}},
	"/healthz":                             {"GET": {anyone, (*API).healthz}},
	"/readyz":                              {"GET": {anyone, (*API).readyz}},
	"/openapi.yaml":                        {"GET": {anyone, (*API).openapi}},
}

// newMux registers paths without methods: the mux's own answers to a wrong
// method or an unknown path are not JSON.
func (a *API) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, e := range routes {
		allow := slices.Collect(maps.Keys(e))
		if _, get := e["GET"]; get {
			allow = append(allow, "HEAD")
		}
		slices.Sort(allow)
		mux.Handle(pattern, a.at(e, strings.Join(allow, ", ")))
	}
	mux.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.fail(w.(*call), notFound("there is nothing at this path"))
	}))
	return mux
}

// at answers the requests for one path.
func (a *API) at(e endpoint, allow string) http.Handler {
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
		if err := a.admit(c, op.may); err != nil {
			a.fail(c, err)
			return
		}
		if err := op.do(a, c); err != nil {
			a.fail(c, err)
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
	// The mux would redirect an unclean path. Nobody who means well sends one.
	if p := r.URL.EscapedPath(); p == "" || path.Clean(p) != p {
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
