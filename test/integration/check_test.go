package integration

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/api"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/cli"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// secureReceiver makes a receiver whose certificate ends at that time. It returns the certificate in
// PEM too, for tls.ca.
func secureReceiver(t *testing.T, ends time.Time) (*receiver, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: ends,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{arrived: make(chan struct{}, 1<<10)}
	r.Server = httptest.NewUnstartedServer(r)
	r.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are what the test is about
	r.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	r.StartTLS()
	t.Cleanup(func() { r.CloseClientConnections(); r.Close() })
	return r, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// finding returns the finding of that name, zero if there is none.
func finding(d client.Destination, name string) client.Finding {
	if d.Check != nil {
		for _, f := range d.Check.Findings {
			if f.Name == name {
				return f
			}
		}
	}
	return client.Finding{}
}

// commandLine runs the command line and returns its exit code and output.
func commandLine(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = cli.Run(t.Context(), args, strings.NewReader(""), &stdout, &stderr, all.Destinations())
	return code, stdout.String(), stderr.String()
}

// zoo is a developer with a destination for each thing that a check finds.
type zoo struct {
	h        *home
	good     *receiver
	goodEnds time.Time
	s3       servers.S3
	admin    *s3.Client
	there    string // name of a bucket
	missing  string // and of one that is not
}

func newZoo(t *testing.T) *zoo {
	z := &zoo{h: newHome(t), goodEnds: time.Now().Add(40*24*time.Hour + time.Hour)}
	var goodCA string
	z.good, goodCA = secureReceiver(t, z.goodEnds)
	soon, soonCA := secureReceiver(t, time.Now().Add(3*24*time.Hour+time.Hour))
	expired, expiredCA := secureReceiver(t, time.Now().Add(-25*time.Hour))
	for name, text := range map[string]string{"good": goodCA, "soon": soonCA, "expired": expiredCA} {
		z.h.write("secrets/acme/"+name+".pem", text)
	}
	_, z.there, z.admin = newS3(t)
	z.s3, z.missing = servers.StartS3(t), servers.Name()
	hook := func(name, url, ca string) string {
		return fmt.Sprintf("  - { name: %s, kind: webhook, settings: { url: %q, secret: secret-of-acme, tls: { ca: '${file:secrets/acme/%s.pem}' } } }\n", name, url, ca)
	}
	bucket := func(name, bucket string) string {
		return fmt.Sprintf("  - { name: %s, kind: s3, settings: { bucket: %s, region: %s, endpoint: %q, allow_http: true, path_style: true, access_key_id: %s, secret_access_key: %q } }\n",
			name, bucket, z.s3.Region, z.s3.Endpoint, z.s3.AccessKey, z.s3.SecretKey)
	}
	z.h.write("fantail.yaml", plain)
	z.h.write("developers/acme.yaml", "developer: acme\ndestinations:\n"+
		hook("good", z.good.URL, "good")+hook("soon", soon.URL, "soon")+hook("expired", expired.URL, "expired")+
		hook("unknown", "https://no-such-host.invalid/hook", "good")+
		hook("refused", "https://127.0.0.2:1/hook", "good")+ // plain denies it
		hook("silent", "https://127.0.0.1:1/hook", "good")+
		bucket("lake", z.there)+bucket("nowhere", z.missing))
	return z
}

// zooFindings is what is wrong in the zoo: the result, the finding that says so, and what it says.
var zooFindings = map[string]struct{ result, finding, says string }{
	"good":    {"ok", "tls", "in 40 days"},
	"soon":    {"warn", "tls", "in 3 days"},
	"expired": {"fail", "tls", "expired 25 h ago"},
	"unknown": {"fail", "dns", "resolve no-such-host.invalid"},
	"refused": {"fail", "guard", "connections to 127.0.0.2 are refused"},
	"silent":  {"fail", "connect", "connection refused"},
	"lake":    {"ok", "access", "the check of kind s3 found nothing"},
	"nowhere": {"fail", "access", "bucket"},
}

func (z *zoo) judge(t *testing.T, found map[string]client.Destination) {
	t.Helper()
	for name, want := range zooFindings {
		d := found[name]
		if d.Check == nil || d.Check.Result != want.result {
			t.Errorf("%s: the check is %+v, want %s", name, d.Check, want.result)
			continue
		}
		f := finding(d, want.finding)
		if f.Result != want.result || !strings.Contains(f.Message, want.says) {
			t.Errorf("%s: %s is %+v, want %s %q", name, want.finding, f, want.result, want.says)
		}
		if want.result != "ok" && f.Advice == "" {
			t.Errorf("%s: nobody is told what to do: %+v", name, f)
		}
		for _, f := range d.Check.Findings {
			if strings.Contains(f.Message+f.Advice, z.s3.SecretKey) || strings.Contains(f.Message+f.Advice, "secret-of-acme") {
				t.Errorf("%s: a secret is shown: %+v", name, f)
			}
		}
	}
	if good := found["good"].Check; good == nil {
		t.Error("good is not checked")
	} else if e := good.Expires; e.Sub(z.goodEnds).Abs() > time.Second {
		t.Errorf("the certificate ends at %s, want %s", e, z.goodEnds)
	}
	if n := len(z.good.all()); n > 0 {
		t.Errorf("%d requests were posted", n)
	}
	// A bucket that was checked holds nothing.
	for _, b := range z.objects(t) {
		t.Errorf("the check left %s", b)
	}
}

func (z *zoo) objects(t *testing.T) (keys []string) {
	t.Helper()
	list, err := z.admin.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &z.there})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

// The API, and the command with and without a daemon, find each thing that can be wrong and say it in
// a sentence with advice. Nothing is left behind.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	z := newZoo(t)
	// First without a daemon: the store does not exist yet.
	code, out, errs := commandLine(t, "check", "--config", filepath.Join(z.h.dir, "fantail.yaml"), "--json", "--all")
	if code != 1 {
		t.Errorf("the command ends with %d: %s", code, errs)
	}
	if z.judge(t, destinationsOf(t, out)); t.Failed() {
		t.Fatalf("it printed:\n%s%s", out, errs)
	}

	d := z.h.start()
	z.judgeList(t, d) // versitygw answers 500 to a put that meets the removal of the same object by another check
	found := map[string]client.Destination{}
	for name := range zooFindings {
		got, err := d.Check(t.Context(), "acme", name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		found[name] = got
	}
	z.judge(t, found)

	code, out, errs = commandLine(t, "check", "--server", d.app.URL(), "acme")
	for _, part := range []string{"acme/expired", "renew it", "expired 25 h ago", "acme/good", "the certificate ends in 40 days"} {
		if !strings.Contains(out, part) {
			t.Errorf("the table lacks %q:\n%s", part, out)
		}
	}
	if code != 1 {
		t.Errorf("the command ends with %d: %s", code, errs)
	}
	if code, out, errs = commandLine(t, "check", "--server", d.app.URL(), "acme/good"); code != 0 {
		t.Errorf("a sound destination: %d %s %s", code, out, errs)
	}
	if code, _, errs = commandLine(t, "check", "--server", d.app.URL(), "acme/none"); code != 1 || !strings.Contains(errs, "no destination") {
		t.Errorf("an unknown one: %d %s", code, errs)
	}
}

// The daemon checks by itself after the start and after a reload. The list shows what it found, and a
// gauge shows the ends of certificates.
func TestDestinationsAreCheckedInTheBackground(t *testing.T) {
	z := newZoo(t)
	d := z.h.start()
	z.judgeList(t, d)

	gauges := gaugesOf(t, d, "fantail_certificate_expiry_seconds")
	for name, days := range map[string]float64{"good": 40, "soon": 3, "expired": -25.0 / 24} {
		if got, ok := gauges[name]; !ok || got/86400 < days-0.1 || got/86400 > days+0.1 {
			t.Errorf("%s ends in %v days, want %v", name, got/86400, days)
		}
	}
	if len(gauges) != 3 {
		t.Errorf("gauges %v: only certificates that were seen have one", gauges)
	}

	// What changes is checked again, soon.
	other := newReceiver(t, nil)
	z.h.write("developers/acme.yaml", webhook("acme", other.URL, "secret-of-acme", ""))
	if _, err := d.app.ReloadWith(t.Context(), api.ReloadOptions{AllowRemoval: true}); err != nil {
		t.Fatal(err)
	}
	until(t, "the new destination is checked", func() bool {
		for dest, err := range d.Destinations(t.Context(), "acme", "active") {
			if err == nil && dest.Name == "app" && dest.Check != nil {
				return dest.Check.Result == "ok"
			}
		}
		return false
	})
	if gauges := gaugesOf(t, d, "fantail_certificate_expiry_seconds"); len(gauges) != 0 {
		t.Errorf("gauges of what is gone: %v", gauges)
	}
}

func (z *zoo) judgeList(t *testing.T, d *daemon) {
	t.Helper()
	list := map[string]client.Destination{}
	until(t, "all are checked", func() bool {
		for dest, err := range d.Destinations(t.Context(), "acme", "") {
			if err != nil {
				t.Fatal(err)
			}
			list[dest.Name] = dest
			if dest.Check == nil {
				return false
			}
		}
		return len(list) == len(zooFindings)
	})
	for name, c := range zooFindings {
		if list[name].Check.Result != c.result {
			t.Errorf("%s: %+v, want %s", name, list[name].Check, c.result)
		}
	}
}

// The list of destinations and the check give the same reason for a hold.
func TestHeldDestinationAndItsCheckGiveOneReason(t *testing.T) {
	h := newHome(t)
	h.write("fantail.yaml", plain)
	h.write("developers/acme.yaml", webhook("acme", "http://127.0.0.2:1/", "secret-of-acme", ""))
	d := h.start()
	d.send(t, "acme", []byte(`{"type":"sleep"}`))
	var held client.Destination
	until(t, "it is held", func() bool {
		for dest, err := range d.Destinations(t.Context(), "acme", "held") {
			held = dest
			return err == nil
		}
		return false
	})
	got, err := d.Check(t.Context(), "acme", "app")
	if err != nil {
		t.Fatal(err)
	}
	if held.Reason == "" || finding(got, "guard").Message != held.Reason || !strings.Contains(finding(got, "state").Message, held.Reason) || got.Check.Result != "fail" {
		t.Errorf("held for %q; the check finds %+v", held.Reason, got.Check)
	}
}

// gaugesOf reads a gauge by destination from /metrics.
func gaugesOf(t *testing.T, d *daemon, name string) map[string]float64 {
	t.Helper()
	res, err := http.Get(d.app.URL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, m := range regexp.MustCompile(`(?m)^`+name+`\{destination="(\w+)",developer="acme"\} (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		if values[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
			t.Fatal(err)
		}
	}
	return values
}

// destinationsOf reads lines of JSON by the name of the destination.
func destinationsOf(t *testing.T, text string) map[string]client.Destination {
	t.Helper()
	found := map[string]client.Destination{}
	for line := range strings.Lines(text) {
		var d client.Destination
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		found[d.Name] = d
	}
	return found
}
