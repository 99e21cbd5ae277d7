package netguard

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// reach says where the metadata client would connect to.
func reach(t *testing.T, g *Guard, address string) ([]netip.AddrPort, error) {
	t.Helper()
	return g.confine(lent, metadataPort).targets(t.Context(), "tcp", address)
}

func TestMetadataClientReachesMetadataServicesOnly(t *testing.T) {
	dns := newNames(t, map[string][]string{
		"metadata.google.internal": {"169.254.169.254"},
		"example.com":              {"8.8.8.8"},
		"mixed.example":            {"8.8.8.8 169.254.169.254"},
	})
	g := newGuard(t, Config{Resolver: dns.resolver, Allow: ranges("10.0.0.0/8", "127.0.0.1/32", "8.8.8.8/32")})
	for _, address := range []string{"169.254.169.254:80", "169.254.170.2:80", "169.254.170.23:80", "[fd00:ec2::254]:80", "[fd00:ec2::23]:80", "[fd20:ce::254]:80", "metadata.google.internal:80", "mixed.example:80"} {
		to, err := reach(t, g, address)
		if err != nil || len(to) != 1 || !slices.Contains(lent, to[0].Addr()) {
			t.Errorf("%s: %v, %v", address, to, err)
		}
	}
	for address, why := range map[string]string{
		"8.8.8.8:80":                  "no metadata address", // not even what the guard allows otherwise
		"10.0.0.1:80":                 "no metadata address",
		"127.0.0.1:80":                "no metadata address",
		"example.com:80":              "no metadata address",
		"100.100.100.200:80":          "no metadata address", // of a cloud that no kind of ours uses
		"[::ffff:169.254.169.254]:80": "IPv4-mapped",
		"[64:ff9b::a9fe:a9fe]:80":     "no metadata address",
		"169.254.169.254:8080":        "no metadata service is at that port",
		"169.254.169.254:22":          "no metadata service is at that port",
	} {
		to, err := reach(t, g, address)
		if len(to) > 0 {
			t.Fatalf("%s is reached at %v", address, to)
		}
		wantRefused(t, err, why)
	}
	// Only the metadata client reaches them.
	if _, err := g.targets(t.Context(), "tcp", "169.254.169.254:80"); err == nil {
		t.Error("the guard itself lets everybody reach the metadata service")
	}
}

func TestDenyHoldsForTheMetadataService(t *testing.T) {
	_, err := reach(t, newGuard(t, Config{Deny: ranges("169.254.0.0/16")}), "169.254.169.254:80")
	wantRefused(t, err, "egress.deny")
}

func TestMetadataClientGoesDirectlyAndFollowsNothing(t *testing.T) {
	site := website(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.3/", http.StatusFound)
	}))
	host, port, err := net.SplitHostPort(site.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(site.Listener.Addr().String())
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	g := newGuard(t, Config{Proxy: "http://127.0.0.1:1", Source: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
	c := g.confine([]netip.Addr{at.Addr()}, at.Port()).client()
	defer c.CloseIdleConnections()
	res, err := c.Get("http://" + host + ":" + port + "/latest")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusFound {
		t.Errorf("answer %d", res.StatusCode)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	if _, err := c.Get(other.URL); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("elsewhere: %v", err)
	}
	if m := g.Metadata(); m.Transport.(*http.Transport).Proxy != nil || m.Transport.(*http.Transport).ResponseHeaderTimeout == 0 {
		t.Error("the client of production differs")
	}
}
