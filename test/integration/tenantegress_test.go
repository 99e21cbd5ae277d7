package integration

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// banner is what an internal service says first to whoever connects.
const banner = "SSH-2.0-internal-banner\r\n"

// canary is a service on every address of this machine that nobody may connect to.
type canary struct {
	port, closed string // closed is a port that nobody listens on
	met          atomic.Int64
}

func newCanary(t *testing.T) *canary {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "[::]:0") // over IPv4, too
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &canary{}
	_, c.port, _ = net.SplitHostPort(l.Addr().String())
	_, c.closed, _ = net.SplitHostPort(servers.Address(t))
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.met.Add(1)
			_, _ = io.WriteString(conn, banner)
			conn.Close()
		}
	}()
	return c
}

// wayOut is the operator's proxy: it notes who is asked for, and lets nobody through.
type wayOut struct {
	url string
	mu  sync.Mutex
	to  []string
}

func newWayOut(t *testing.T) *wayOut {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &wayOut{url: "http://" + l.Addr().String()}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					p.mu.Lock()
					p.to = append(p.to, r.Host)
					p.mu.Unlock()
					_, _ = io.WriteString(conn, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
				}
			}()
		}
	}()
	return p
}

// insideNames are what names stand for; only the last is public.
var insideNames = map[string][]string{
	"inside.example": {"127.0.0.1"}, "six.example": {"::1"}, "mapped.example": {"::ffff:127.0.0.1"}, "private.example": {"10.0.0.7", "192.168.1.7"}, "nat.example": {"64:ff9b::7f00:1"},
	"metadata.google.internal": {"169.254.169.254"}, "zero.example": {"0.0.0.0"}, "public.example": {"93.184.216.34"},
}

// answerNames makes every name of this process be looked up at a stand-in: one record an answer, by RFC 1035.
func answerNames(t *testing.T) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for b := make([]byte, 1500); ; {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if n > 16 {
				_, _ = conn.WriteTo(answerName(b[:n]), from)
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = before; conn.Close() })
}

func answerName(q []byte) []byte {
	var labels []string
	i := 12
	for q[i] != 0 {
		labels = append(labels, strings.ToLower(string(q[i+1:i+1+int(q[i])])))
		i += 1 + int(q[i])
	}
	typ, question := binary.BigEndian.Uint16(q[i+1:]), q[12:i+5]
	addresses, known := insideNames[strings.Join(labels, ".")]
	out := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	if !known {
		out[3] |= 3
	}
	for _, text := range addresses {
		a := netip.MustParseAddr(text)
		if a.Is4() == (typ == 1) && (typ == 1 || typ == 28) {
			out[7]++
			out = append(append(out, 0xc0, 12, 0, byte(typ), 0, 1, 0, 0, 0, 0, 0, byte(len(a.AsSlice()))), a.AsSlice()...)
		}
	}
	return out
}

// insides are hosts that lead inside, in every spelling that some program takes for one. Documents with most of them are
// refused; what is not refused there must be refused a connection.
var insides = []string{
	"127.0.0.1", "localhost", "LOCALHOST", "localhost.", "[::1]", "0.0.0.0", "[::]", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.0.0.1", "127.0.0.1.", "127.000.000.001", "127.0.0.2",
	"[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1%25lo]", "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "10.0.0.1", "172.16.0.1", "192.168.1.1",
	"１２７.0.0.1", "127。0。0。1", "ⓛocalhost", "inside.example", "six.example", "mapped.example", "private.example", "nat.example", "metadata.google.internal", "zero.example",
}

// here are those of them that this machine itself would answer at.
var here = []string{"127.0.0.1", "localhost", "localhost.", "[::1]", "0.0.0.0", "[::]", "127.0.0.2", "127.1", "[::ffff:127.0.0.1]", "inside.example", "six.example", "mapped.example", "zero.example"}

const (
	awsKeys     = "access_key_id: AKIAEXAMPLEEXAMPLE00, secret_access_key: made-up-secret-of-nobody"
	serviceRole = "service_role_key: sb_secret_made_up_of_nobody_at_all_0000"
)

// ways are all settings of all kinds that say where to connect to, with HOST and PORT.
func ways(t *testing.T) map[string][2]string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	account := func(more map[string]string) string {
		of := map[string]string{"type": "service_account", "client_email": "nobody@example.iam.gserviceaccount.com", "private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}
		for k, v := range more {
			of[k] = v
		}
		text, err := json.Marshal(of)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%q", text)
	}
	const at, open = "'https://HOST:PORT/x'", "'http://HOST:PORT'"
	s3 := func(more string) string { return "bucket: made-up-bucket, region: eu-west-1, " + awsKeys + ", " + more }
	sqs := func(more string) string { return "region: eu-west-1, " + awsKeys + ", " + more }
	return map[string][2]string{
		"webhook":       {"webhook", "secret: made-up-secret-of-nobody, url: " + at},
		"webhook-plain": {"webhook", "secret: made-up-secret-of-nobody, allow_http: true, url: 'http://HOST:PORT/x'"},
		"s3":            {"s3", s3("allow_http: true, endpoint: " + open)},
		"s3-tls":        {"s3", s3("path_style: false, endpoint: 'https://HOST:PORT'")},
		"s3-role":       {"s3", s3("role_arn: 'arn:aws:iam::123456789012:role/x', allow_http: true, sts_endpoint: " + open)},
		"gcs":           {"gcs", "bucket: made-up-bucket, anonymous: true, allow_http: true, endpoint: " + open},
		"gcs-token":     {"gcs", "bucket: made-up-bucket, allow_http: true, credentials: " + account(map[string]string{"token_uri": "http://HOST:PORT/token"})},
		"sqs":           {"sqs", sqs("queue: 'https://HOST:PORT/123456789012/q'")},
		"sqs-endpoint":  {"sqs", sqs("queue: q, allow_http: true, endpoint: " + open)},
		"sqs-role":      {"sqs", sqs("queue: q, role_arn: 'arn:aws:iam::123456789012:role/x', allow_http: true, sts_endpoint: " + open)},
		"sqs-payloads":  {"sqs", sqs("queue: q, endpoint: 'https://127.0.0.3:9', payloads: { s3: { bucket: made-up-bucket, region: eu-west-1, " + awsKeys + ", allow_http: true, endpoint: " + open + " } }")},
		"postgres":      {"postgres", "host: 'HOST:PORT', user: u, password: made-up-password, database: d, tls: { mode: disable }"},
		"postgres-port": {"postgres", "host: 'HOST', port: PORT, user: u, password: made-up-password, database: d"},
		"postgres-dsn":  {"postgres", "dsn: 'postgres://u:made-up-password@HOST:PORT/d?sslmode=disable'"},
		"postgres-two":  {"postgres", "host: 'HOST:PORT,127.0.0.1:PORT', user: u, password: made-up-password, database: d, tls: { mode: require }"},
		"mysql":         {"mysql", "host: 'HOST', port: PORT, user: u, password: made-up-password, database: d, tls: { mode: disable }"},
		"mysql-dsn":     {"mysql", "dsn: 'mysql://u:made-up-password@HOST:PORT/d?ssl-mode=DISABLED'"},
		"supabase":      {"supabase", serviceRole + ", url: 'https://HOST:PORT'"},
		"supabase-host": {"supabase", serviceRole + ", host: 'HOST:PORT'"},
		"supabase-dsn":  {"supabase", serviceRole + ", url: 'https://HOST:PORT', complete: { dsn: 'postgres://u:made-up-password@HOST:PORT/d?sslmode=disable' }"},
		"supabase-api":  {"supabase", serviceRole + ", allow_http: true, url: 'http://HOST:PORT', complete: { access_token: made-up-token, project: abcdefghijklmnopqrst, api: " + open + " }"},
	}
}

// portal is the API as a tenant's session over a link has it.
type portal struct {
	t    *testing.T
	base string
	auth string
}

func newPortal(t *testing.T, d *daemon) *portal {
	t.Helper()
	c, err := client.New(d.app.URL(), "token-of-the-platform", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutDocument(t.Context(), "acme", []byte("developer: acme\n"), client.ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	l, err := c.MakePortalLink(t.Context(), client.PortalLinkRequest{Developer: "acme", May: []string{"read", "configure", "test", "retry", "replay"}})
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(l.URL, "#link=")
	if code, err = url.QueryUnescape(code); err != nil {
		t.Fatal(err)
	}
	s, err := c.BeginSession(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	return &portal{t, d.app.URL(), "Bearer " + s.Bearer}
}

func (p *portal) ask(method, path, body string) (status int, text string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.base+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", p.auth)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

const destinationPath = "/v1/developers/acme/destinations/"

// attempt is what a tenant tries, and all that they are told of it.
type attempt struct {
	name, entry string
	told        []string
}

// tryAll puts every destination that the daemon takes into the tenant's document, checks each, sends each a test event,
// and waits until an attempt at it has ended.
func (p *portal) tryAll(all []*attempt) (taken []*attempt) {
	p.t.Helper()
	document := "developer: acme\ndestinations:\n"
	for _, a := range all {
		status, text := p.ask("PUT", destinationPath+a.name+"?dry_run=1", a.entry)
		if a.told = append(a.told, text); status == 200 {
			taken = append(taken, a)
			document += "  - { name: " + a.name + ", " + a.entry[1:] + "\n"
		} else if status != 422 {
			p.t.Fatalf("%s: %d %s", a.entry, status, text)
		}
	}
	if status, text := p.ask("PUT", "/v1/developers/acme", document); status != 200 {
		p.t.Fatalf("%d %.2000s", status, text)
	}
	var work sync.WaitGroup
	turns := make(chan *attempt)
	for range 8 {
		work.Go(func() {
			for a := range turns {
				status, text := p.ask("POST", "/v1/destinations/acme/"+a.name+"/check", "")
				if status != 200 {
					p.t.Errorf("check %s: %d %s", a.entry, status, text)
				}
				a.told = append(a.told, text)
				if status, text = p.ask("POST", "/v1/destinations/acme/"+a.name+"/test?type=sleep&user=u&provider=GARMIN&seed=1", ""); status != 202 {
					p.t.Errorf("test %s: %d %s", a.entry, status, text)
				}
			}
		})
	}
	for _, a := range taken {
		turns <- a
	}
	close(turns)
	work.Wait()
	for _, a := range taken {
		if !within(2*time.Minute, func() bool {
			_, text := p.ask("GET", "/v1/destinations?developer=acme&q="+url.QueryEscape("acme/"+a.name+" "), "")
			var list struct {
				Items []struct {
					Name, State string
					LastAnswer  *struct{ Class string } `json:"last_answer"`
				}
			}
			if json.Unmarshal([]byte(text), &list) != nil || len(list.Items) != 1 {
				p.t.Fatalf("%s: %s", a.name, text)
			}
			if last := list.Items[0].LastAnswer; list.Items[0].State != "held" && (last == nil || last.Class == "misconfigured") {
				return false // or on the way to be held
			}
			_, attempts := p.ask("GET", "/v1/deliveries?detail=1&developer=acme&destination="+a.name, "")
			a.told = append(a.told, text, attempts)
			return true
		}) {
			p.t.Errorf("%s: no attempt has ended", a.entry)
		}
	}
	return taken
}

func within(limit time.Duration, done func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !done(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// tenants starts a daemon that keeps documents in its store.
func tenants(t *testing.T, egress string) (*home, *daemon) {
	t.Helper()
	h := newHome(t)
	h.write("fantail.yaml", `
listen: 127.0.0.1:0
developers: { store: {} }
store: { pebble: { dir: store } }
egress: `+egress+`
payloads: { dir: { path: payloads, public_url: 'http://127.0.0.1:9' } }
tokens: [{ name: platform, value: token-of-the-platform, may: [ingest, read, operate, configure, link] }]
limits: { per_developer: { shortest_wait: 1ms } }
shutdown_grace: 2s
`)
	return h, h.start()
}

// A tenant edits their own document over a portal link, and connects to nothing inside: with no setting of any kind, in no
// spelling, with a check, a plan, a test event or a redirect. What they are told is the same whether somebody listens
// there, and is nothing that somebody said.
func TestATenantReachesNothingInside(t *testing.T) {
	answerNames(t)
	inside := newCanary(t)
	// The one address that is allowed sends everybody on to one that is not.
	var asked atomic.Int64
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	redirects := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		w.Header().Set("Location", "http://127.0.0.1:"+inside.port+r.URL.Path)
		w.Header().Set("X-Amz-Bucket-Region", "us-east-1")
		w.WriteHeader([]int{301, 302, 303, 307, 308}[n%5])
	})}
	go func() { _ = redirects.Serve(l) }()
	t.Cleanup(func() { redirects.Close() })

	_, d := tenants(t, `{ allow: [127.0.0.3/32] }`)
	p := newPortal(t, d)
	kinds, all, pairs := ways(t), []*attempt{}, map[string][2]*attempt{}
	add := func(way, host, port string) *attempt {
		w := kinds[way]
		a := &attempt{name: fmt.Sprintf("d%d", len(all)), entry: "{ kind: " + w[0] + ", retry: { waits: [1h], jitter: 0 }, settings: { " + strings.NewReplacer("HOST", host, "PORT", port).Replace(w[1]) + " } }"}
		all = append(all, a)
		return a
	}
	hosts := append(slices.Clone(here), strings.TrimPrefix(d.app.URL(), "http://"))
	for way := range kinds {
		for _, host := range hosts {
			name, port := host, inside.port
			if h, own, err := net.SplitHostPort(host); err == nil {
				name, port = h, own // the daemon's own API
			}
			open := add(way, name, port)
			if slices.Contains([]string{"127.0.0.1", "[::1]", "inside.example", "0.0.0.0"}, host) {
				pairs[way+" "+host] = [2]*attempt{open, add(way, name, inside.closed)}
			}
		}
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for way := range kinds {
		add(way, "127.0.0.3", port)
	}
	taken := p.tryAll(all)
	if n := inside.met.Load(); n > 0 {
		t.Errorf("%d connections were made to what nobody may connect to", n)
	}
	if n := asked.Load(); n < 10 {
		t.Errorf("the address that is allowed was asked %d times: nothing was tried", n)
	}
	if len(taken) < 100 {
		t.Errorf("only %d of %d were taken: nothing was tried", len(taken), len(all))
	}
	for _, a := range all {
		if told := strings.Join(a.told, "\n"); strings.Contains(told, "internal-banner") || strings.Contains(told, "connection refused") && !strings.Contains(a.entry, "127.0.0.3") {
			t.Errorf("%s: they are told %s", a.entry, told)
		}
	}
	for what, pair := range pairs {
		if one, other := tellings(pair[0], inside.port), tellings(pair[1], inside.closed); one != other {
			t.Errorf("%s: with somebody there they are told\n%s\nand with nobody\n%s", what, one, other)
		}
	}
}

// tellings is what a tenant is told of an attempt without what differs anyway.
func tellings(a *attempt, port string) string {
	text := strings.ReplaceAll(strings.Join(a.told, "\n"), a.name+`"`, `NAME"`)
	text = regexp.MustCompile(`\b`+port+`\b`).ReplaceAllString(text, "PORT")
	return regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}|\d+(\.\d+)?`).ReplaceAllString(text, "") // ids, times, whole seconds too, counts
}

// Over a proxy nothing hides whom a destination would connect to: the proxy is asked for public addresses alone.
func TestTheProxyIsAskedForNothingInside(t *testing.T) {
	answerNames(t)
	proxy := newWayOut(t)
	_, d := tenants(t, fmt.Sprintf(`{ proxy: %q }`, proxy.url))
	p := newPortal(t, d)
	var all []*attempt
	for _, w := range ways(t) {
		for _, host := range append([]string{"public.example"}, insides...) {
			all = append(all, &attempt{name: fmt.Sprintf("d%d", len(all)), entry: "{ kind: " + w[0] + ", retry: { waits: [1h], jitter: 0 }, settings: { " + strings.NewReplacer("HOST", host, "PORT", "8443").Replace(w[1]) + " } }"})
		}
	}
	p.tryAll(all)
	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	if len(proxy.to) < 20 {
		t.Errorf("the proxy was asked %d times: nothing was tried", len(proxy.to))
	}
	for _, to := range proxy.to {
		if !strings.HasPrefix(to, "93.184.216.34:") {
			t.Errorf("the proxy was asked for %s", to)
		}
	}
}

// What would have the daemon read files, its environment or run something is refused with the document, in words that do
// not tell what there is.
func TestATenantsDocumentReadsNothingOfTheMachine(t *testing.T) {
	t.Setenv("FANTAIL_DEV_OTHER_SECRET", "value-of-another")
	t.Setenv("OF_THE_DAEMON", "value-of-the-daemon")
	h, d := tenants(t, `{}`)
	h.write("secrets/other/key", "value-of-another-file")
	p := newPortal(t, d)
	hook := func(reference string) string {
		return "{ kind: webhook, settings: { url: 'https://public.example/x', secret: '" + reference + "' } }"
	}
	refused := func(entry string) string {
		t.Helper()
		var last string
		for _, query := range []string{"?dry_run=1", ""} {
			status, text := p.ask("PUT", destinationPath+"app"+query, entry)
			if status != 422 {
				t.Errorf("%s: %d %s", entry, status, text)
			}
			for _, value := range []string{"value-of-", "root:"} {
				if strings.Contains(text, value) {
					t.Errorf("%s: it tells %s", entry, text)
				}
			}
			last = text
		}
		return last
	}
	for there, not := range map[string]string{
		"${env:OF_THE_DAEMON}": "${env:OF_THE_DAEMOM}", "${env:FANTAIL_DEV_OTHER_SECRET}": "${env:FANTAIL_DEV_OTHER_SECREX}", "${file:/etc/passwd}": "${file:/etc/passwx}",
		"${file:secrets/other/key}": "${file:secrets/other/kex}", "${file:secrets/acme/../other/key}": "${file:secrets/acme/../other/kex}", "${file:fantail.yaml}": "${file:fantail.yamx}",
		"${file:secrets/acme/../../fantail.yaml}": "${file:secrets/acme/../../fantail.yamx}", "${file:../../../../../../etc/passwd}": "${file:../../../../../../etc/passwx}",
	} {
		one, other := refused(hook(there)), refused(hook(not))
		if strings.ReplaceAll(one, there, "") != strings.ReplaceAll(other, not, "") {
			t.Errorf("%s is told from %s:\n%s%s", there, not, one, other)
		}
	}
	for _, settings := range []string{
		"postgres, settings: { dsn: 'postgres://u:p@public.example/d?sslrootcert=/etc/passwd' }", "postgres, settings: { dsn: 'postgres://u:p@public.example/d?sslcert=/etc/passwd&sslkey=/etc/passwd' }",
		"postgres, settings: { dsn: 'postgres://u@public.example/d?passfile=/etc/passwd' }", "postgres, settings: { dsn: 'postgres://public.example/d?service=x&servicefile=/etc/passwd' }",
		"postgres, settings: { dsn: 'postgres://u:p@public.example/d?host=/var/run/postgresql' }", "postgres, settings: { dsn: 'postgres://u:p@public.example/d?hostaddr=127.0.0.1' }",
		"postgres, settings: { dsn: 'postgres://u:p@%2Fvar%2Frun%2Fpostgresql/d' }", "postgres, settings: { dsn: 'host=/var/run/postgresql user=u dbname=d' }",
		"postgres, settings: { host: /var/run/postgresql, user: u, password: p, database: d }", "postgres, settings: { host: 'public.example,/var/run/postgresql', user: u, password: p, database: d }",
		"postgres, settings: { host: '@abstract', user: u, password: p, database: d }", "postgres, settings: { dsn: 'postgres://u:p@public.example/d?sslmode=prefer' }",
		"mysql, settings: { dsn: 'mysql://u:p@public.example/d?allowAllFiles=true' }", "mysql, settings: { dsn: 'mysql://u:p@public.example/d?allowCleartextPasswords=true' }",
		"mysql, settings: { dsn: 'mysql://u:p@public.example/d?serverPubKey=x' }", "mysql, settings: { dsn: 'u:p@unix(/var/run/mysqld/mysqld.sock)/d' }", "mysql, settings: { dsn: 'mysql://u:p@unix(/tmp/x)/d' }",
		"mysql, settings: { host: /var/run/mysqld/mysqld.sock, user: u, password: p, database: d }", "mysql, settings: { host: 'a.example,b.example', user: u, password: p, database: d }",
		"supabase, settings: { " + serviceRole + ", url: 'https://public.example', complete: { dsn: 'postgres://u:p@public.example/d?sslrootcert=/etc/passwd' } }",
		"supabase, settings: { " + serviceRole + ", url: 'file:///etc/passwd' }", "webhook, settings: { secret: made-up-secret, url: 'file:///etc/passwd' }", "webhook, settings: { secret: made-up-secret, url: 'unix:///var/run/docker.sock' }",
		"webhook, settings: { secret: made-up-secret, url: 'gopher://public.example/x' }", "webhook, settings: { secret: made-up-secret, url: 'https://u:p@public.example/x' }",
		`gcs, settings: { bucket: made-up-bucket, credentials: '{"type":"external_account","credential_source":{"file":"/etc/passwd"},"token_url":"https://public.example"}' }`,
		`gcs, settings: { bucket: made-up-bucket, credentials: '{"type":"external_account","credential_source":{"executable":{"command":"/bin/id"}}}' }`,
		`gcs, settings: { bucket: made-up-bucket, credentials: '{"type":"external_account","credential_source":{"url":"http://169.254.169.254/"}}' }`,
		`gcs, settings: { bucket: made-up-bucket, credentials: '{"type":"authorized_user","refresh_token":"x"}' }`, "gcs, settings: { bucket: made-up-bucket }",
		"s3, settings: { bucket: made-up-bucket, region: eu-west-1 }", "s3, settings: { bucket: made-up-bucket, region: eu-west-1, profile: default }", "s3, settings: { bucket: made-up-bucket, region: 'eu-west-1.evil.example/' , " + awsKeys + " }",
		"s3, settings: { bucket: '127.0.0.1/x', region: eu-west-1, " + awsKeys + " }", "sqs, settings: { queue: q, region: eu-west-1 }", "sqs, settings: { queue: '../q', region: eu-west-1, " + awsKeys + " }",
	} {
		refused("{ kind: " + settings + " }")
	}
}
