package s3

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

const activityKey = "2022-03-16/activity/u1-2026-03-12T06:00:00Z.json"

// TestAWriteOnlyCredentialStillDelivers: what is new and, by default, what has
// a key that is taken; the receipt and the check say what that costs.
func TestAWriteOnlyCredentialStillDelivers(t *testing.T) {
	f := startGateway(t).bucket(t)
	f.allow(t, "s3:PutObject")
	d := openWith(t, f.config, plainDeps(t))
	for n, want := range []string{"1 stored", "1 stored, but reading is denied"} {
		r, err := d.Send(t.Context(), destinationtest.Delivery(t, n, fmt.Appendf(nil, activity, n, "a")))
		if err != nil || !strings.HasPrefix(r.Answer, want) {
			t.Errorf("event %d: %v, %+v; want %q", n, err, r, want)
		}
		if o := f.all(t)[activityKey]; string(o.body) != fmt.Sprintf(activity, n, "a") {
			t.Errorf("event %d is not there: %s", n, o.body)
		}
	}
	err := d.Check(t.Context())
	if _, ok := errors.AsType[destination.Remark](err); !ok || !strings.Contains(err.Error(), "grant s3:GetObject on arn:aws:s3:::"+f.name+"/*") {
		t.Errorf("check: %v", err)
	}
}

func TestStaleFailReplacesNothingUnseen(t *testing.T) {
	f := startGateway(t).bucket(t, func(c *Config) { c.Stale = staleFail })
	f.allow(t, "s3:PutObject")
	d := openWith(t, f.config, plainDeps(t))
	send(t, d, fmt.Sprintf(activity, 0, "a"))
	_, err := d.Send(t.Context(), destinationtest.Delivery(t, 1, fmt.Appendf(nil, activity, 1, "a")))
	if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !strings.Contains(err.Error(), "grant s3:GetObject") {
		t.Errorf("got %v, %v", class, err)
	}
	if o := f.all(t)[activityKey]; string(o.body) != fmt.Sprintf(activity, 0, "a") {
		t.Errorf("it was replaced by %s", o.body)
	}
	if class, _ := destination.ClassOf(d.Check(t.Context())); class != destination.Misconfigured {
		t.Errorf("check: %v", d.Check(t.Context()))
	}
	f.allow(t, everything...)
	if _, err := d.Send(t.Context(), destinationtest.Delivery(t, 1, fmt.Appendf(nil, activity, 1, "a"))); err != nil {
		t.Errorf("with the right to read: %v", err)
	}
	if err := d.Check(t.Context()); err != nil {
		t.Errorf("check with all rights: %v", err)
	}
}

// TestAServiceWithoutConditions: it says 501 once, and is not asked again.
func TestAServiceWithoutConditions(t *testing.T) {
	f := startGateway(t).bucket(t)
	net, deps := tapped(t)
	net.before = func(req *http.Request) *http.Response {
		if req.Method == http.MethodPut && conditional(req) {
			return answer(http.StatusNotImplemented, "NotImplemented")
		}
		return nil
	}
	d := openWith(t, f.config, deps)
	for i, c := range []struct {
		n        int
		id       string
		requests string
		answer   string
	}{
		{2, "parent", "PUT @, HEAD @, PUT @", "1 stored without a condition"},
		{1, "parent", "HEAD @", "1 there already or newer"},
		{3, "leg", "HEAD @, HEAD @-leg, PUT @-leg", "1 stored without a condition"},
		{4, "parent", "HEAD @, PUT @", "1 stored without a condition"},
	} {
		r, err := d.Send(t.Context(), destinationtest.Delivery(t, c.n, fmt.Appendf(nil, activity, c.n, c.id)))
		if err != nil || !strings.HasPrefix(r.Answer, c.answer) {
			t.Errorf("event %d: %v, %+v", i, err, r)
		}
		stem := strings.TrimSuffix(activityKey, ".json")
		got := strings.NewReplacer(stem+"-c7c8fc91abb8.json", "@-leg", activityKey, "@").Replace(net.requests())
		if got != c.requests {
			t.Errorf("event %d: requests %s, want %s", i, got, c.requests)
		}
	}
	if o := f.all(t)[activityKey]; string(o.body) != fmt.Sprintf(activity, 4, "parent") {
		t.Errorf("it holds %s", o.body)
	}
	if err := openWith(t, f.config, deps).Check(t.Context()); !strings.Contains(fmt.Sprint(err), "knows no conditional writes") {
		t.Errorf("check: %v", err)
	}
	f.config.Stale = staleFail
	strict := openWith(t, f.config, deps)
	_, err := strict.Send(t.Context(), destinationtest.Delivery(t, 5, fmt.Appendf(nil, activity, 5, "a")))
	for _, err := range []error{err, strict.Check(t.Context())} {
		if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !errors.Is(err, errUnconditional) {
			t.Errorf("stale: fail: %v", err)
		}
	}
}

// TestCheckWritesNothing, whatever it finds; the suite looks at a healthy bucket.
func TestCheckWritesNothing(t *testing.T) {
	f := startGateway(t).bucket(t, func(c *Config) { c.Keys.Layout = "terra/{type}/{id}.json" })
	net, deps := tapped(t)
	d := openWith(t, f.config, deps)
	if err := d.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if got := net.requests(); got != "PUT terra/fantail-check.json, HEAD terra/fantail-check.json" {
		t.Errorf("requests: %s", got)
	}
	for _, c := range []struct {
		allowed []string
		want    string // "" : nil
	}{
		{nil, "grant s3:PutObject"},
		{[]string{"s3:GetObject"}, "grant s3:PutObject"},
		{[]string{"s3:PutObject"}, "it cannot be seen whether reading is allowed"},
		{everything, ""},
	} {
		f.allow(t, c.allowed...)
		if err := d.Check(t.Context()); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("with %v: %v", c.allowed, err)
		}
	}
	if n := len(f.all(t)); n != 0 {
		t.Errorf("it left %d objects", n)
	}
}

// TestCheckCleansUp where a service believes any checksum.
func TestCheckCleansUp(t *testing.T) {
	f := startGateway(t).bucket(t)
	f.allow(t, append([]string{"s3:DeleteObject"}, everything...)...)
	net, deps := tapped(t)
	net.before = func(req *http.Request) *http.Response {
		if req.Method == http.MethodPut {
			f.put(t, "fantail-check.json", "{}")
			return answer(http.StatusOK, "")
		}
		return nil
	}
	d := openWith(t, f.config, deps)
	if err := d.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(f.all(t)); n != 0 {
		t.Errorf("it left %d objects", n)
	}
	f.allow(t, everything...)
	if err := d.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "fantail-check.json, which the check left") {
		t.Errorf("check that may not delete: %v", err)
	}
}
