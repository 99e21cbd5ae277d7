package api

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/trail"
)

// Every operation that is not a GET, and needs another right than ingest, is an act:
// it is noted before its answer goes out, whoever adds it to routes. A handler says
// with about whom it is about, where the path does not, and nothing else. These
// operations read, or change nothing: they are counted, at most a row a minute for a
// token and developer. So is whatever is refused.
var counted = map[string]bool{
	"getEventBody": true, "linkPayload": true, "checkDestination": true, "explainEvent": true, "getDeliveryRequest": true,
}

// logIn is the call of an act by somebody who showed no valid token.
const logIn = "logIn"

// operationIDs are the names of operations by method and path, as openapi.yaml has
// them: the description is the one place that names them.
var operationIDs = namesOf(string(description))

var (
	pathLine   = regexp.MustCompile(`^  (/\S*):\s*$`)
	methodLine = regexp.MustCompile(`^    (get|put|post|delete):\s*$`)
	nameLine   = regexp.MustCompile(`^      operationId: (\w+)\s*$`)
)

func namesOf(description string) map[string]string {
	names := map[string]string{}
	path, method := "", ""
	for line := range strings.Lines(description) {
		if m := pathLine.FindStringSubmatch(line); m != nil {
			path = m[1]
		} else if m := methodLine.FindStringSubmatch(line); m != nil {
			method = strings.ToUpper(m[1])
		} else if m := nameLine.FindStringSubmatch(line); m != nil {
			names[method+" "+path] = m[1]
		}
	}
	return names
}

// acts tells whether an operation leaves an act.
func acts(name, method string, may scope) bool {
	return method != http.MethodGet && may != canIngest || counted[name]
}

// begin prepares the act that the call is, if it is one: refused for want of a right, too.
func (a *API) begin(c *call, pattern, method string, may scope) error {
	if !acts(c.operation, method, may) {
		return nil
	}
	c.before = func(status int) error { return a.settle(c, status) }
	c.r = c.r.WithContext(trail.As(c.r.Context(), c.actor()))
	return c.begin(pattern)
}

func (c *call) begin(pattern string) error {
	a := &store.Act{Call: c.operation}
	c.act = a
	if strings.HasPrefix(pattern, "/v1/users/") {
		c.person = c.r.PathValue("id")
	} else {
		a.Object = cmp.Or(c.r.PathValue("destination"), c.r.PathValue("id"))
	}
	a.Developer = c.r.PathValue("developer")
	if strings.HasPrefix(pattern, "/v1/developers/") && a.Developer == "" {
		a.Developer = c.r.PathValue("name")
	}
	if a.Developer == "" && c.r.URL.RawQuery != "" {
		a.Developer = c.r.URL.Query().Get("developer")
	}
	reason, err := readReason(c.r.Header)
	a.Reason = reason
	return err
}

// actor is who makes the call; nobody does before they have logged in.
func (c *call) actor() trail.Actor {
	if c.who == nil {
		return trail.Actor{Call: c.operation}
	}
	return trail.Actor{By: c.who.name, Via: c.who.via, Call: c.operation}
}

// about says whom the call is about, and what of theirs. It does nothing for a call
// that is no act.
func (c *call) about(developer, object string) {
	if c.act != nil {
		c.act.Developer, c.act.Object = developer, object
	}
}

// reasonHeader says why somebody does what they do: percent-encoded UTF-8.
const reasonHeader = "Fantail-Reason"

func readReason(h http.Header) (string, error) {
	values := h[reasonHeader]
	if len(values) == 0 {
		return "", nil
	}
	reason, err := url.PathUnescape(values[0])
	switch {
	case len(values) > 1:
		return "", refuse(400, "invalid_header", "the header "+reasonHeader+" stands twice")
	case err != nil || !utf8.ValidString(reason):
		return "", refuse(400, "invalid_header", "the header "+reasonHeader+" is not percent-encoded UTF-8")
	}
	return reason, longReason(reason)
}

func longReason(reason string) error {
	if len(reason) > trail.MaxReason {
		return refuse(400, "invalid_request", fmt.Sprintf("the reason has more than %d bytes", trail.MaxReason))
	}
	return nil
}

// because is the reason that a body gives; that of the header goes before it.
func (c *call) because(reason string) error {
	if c.act != nil {
		c.act.Reason = cmp.Or(c.act.Reason, trail.Cut(reason, trail.MaxReason))
	}
	return longReason(reason)
}

// errUntold is answered when an act cannot be noted: it must not look as if it were.
var errUntold = errors.New("the trail could not be written")

// settle notes the act before its answer, with status, goes out.
func (a *API) settle(c *call, status int) error {
	act := *c.act
	if c.who != nil {
		act.By, act.Via = c.who.name, c.who.via
	}
	if c.person != "" {
		act.Forget(c.person)
	}
	if act.Developer != "" && (c.who == nil || !c.who.sees(act.Developer)) {
		// It is no act of that developer: whoever tries the names of others must not write
		// into their trails.
		act.Object = strings.TrimSuffix(act.Developer+"/"+act.Object, "/")
		act.Developer, act.State = "", ""
	}
	act.Result = "ok"
	refused := status >= 400
	if refused {
		act.Result, act.State = cmp.Or(c.refused, fmt.Sprint(status)), ""
	}
	var err error
	if refused && !c.partly || c.idle || counted[c.operation] {
		err = a.Trail.Count(c.r.Context(), act)
	} else {
		err = a.Trail.Note(c.r.Context(), act)
	}
	if err == nil {
		return nil
	}
	a.untold(&act, err)
	return &ingest.Refusal{Status: 503, Code: "unavailable", Message: errUntold.Error() + ": what was asked for may have been done", Cause: err}
}

// turnedAway counts a log-in that is refused. Whoever floods the daemon with them must
// not fill its disk.
func (a *API) turnedAway(c *call) {
	act := store.Act{From: network(c.r.RemoteAddr), Call: logIn, Object: c.operation, Result: "unauthorized"}
	if err := a.Trail.Count(c.r.Context(), act); err != nil {
		a.untold(&act, err)
	}
}

// untold says that an act is not in the trail. Of what anybody may try it says so once a
// minute: a disk that is full is no place for a line each.
func (a *API) untold(act *store.Act, err error) {
	if errors.Is(err, store.ErrClosed) || act.By == "" && a.strangers.Take(time.Now()) > 0 {
		return
	}
	a.Log.Error("an act could not be noted", "call", act.Call, "by", act.By, "from", act.From, "developer", act.Developer, "object", act.Object, "result", act.Result, "error", err)
}
