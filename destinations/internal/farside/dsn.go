// Package farside is how kinds speak to a server of databases safely: where it is,
// by which TLS, and how what it says may be shown.
package farside

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/endpoint"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// DSN is the parts of a URL such as postgres://user:password@host:port/database.
type DSN struct {
	User     string
	Password secret.Value
	Hosts    string // as Hosts reads them
	Database string
	Params   url.Values
}

// SplitDSN takes a URL apart. Its errors show nothing of it. It is no job for
// net/url, which knows one host only and quotes what it cannot read.
func SplitDSN(dsn string, schemes ...string) (d DSN, err error) {
	scheme, rest, ok := strings.Cut(dsn, "://")
	if !ok || !slices.Contains(schemes, scheme) {
		return d, errors.New("must be a URL, " + schemes[0] + "://user:password@host:port/database: or use host, user, password and database")
	}
	rest, query, _ := strings.Cut(rest, "?")
	rest, database, _ := strings.Cut(rest, "/")
	user, password := "", ""
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, password, _ = strings.Cut(rest[:i], ":")
		rest = rest[i+1:]
	}
	broken := strings.ContainsAny(dsn, "#\x00")
	for _, part := range []*string{&user, &password, &database} {
		if *part, err = url.PathUnescape(*part); err != nil {
			broken = true
		}
	}
	params, err := url.ParseQuery(query)
	if err != nil || broken || strings.Contains(user+password+database, "\x00") {
		return d, errors.New("is no valid URL: characters such as @ / : ? # % of user and password must be written %40 %2F %3A %3F %23 %25")
	}
	return DSN{user, secret.New(password), rest, database, params}, nil
}

// Host is one server.
type Host struct {
	Name string // or address
	Port uint16
}

func (h Host) String() string { return net.JoinHostPort(h.Name, strconv.Itoa(int(h.Port))) }

// maxHosts is how many servers one database may have.
const maxHosts = 16

// Hosts reads a list of hosts with commas between them; port is of those that
// name none. A path would be a unix socket, past the guard.
func Hosts(list string, port uint16) (all []Host, err error) {
	if list == "" {
		return nil, errors.New("is required, here or in dsn")
	}
	for one := range strings.SplitSeq(list, ",") {
		h := Host{one, port}
		if name, p, err := net.SplitHostPort(one); err == nil {
			n, err := strconv.ParseUint(p, 10, 16)
			if err != nil || n == 0 {
				return nil, errors.New("has a port that is no number from 1 to 65535")
			}
			h = Host{name, uint16(n)}
		}
		h.Name = strings.TrimSuffix(strings.TrimPrefix(h.Name, "["), "]")
		if strings.ContainsAny(h.Name, "/%") {
			return nil, errors.New("must be host names or addresses, with commas between them: no unix sockets, no zones")
		}
		if h.Name, err = endpoint.Host(h.Name); err != nil {
			return nil, err
		}
		if all = append(all, h); len(all) > maxHosts {
			return nil, errors.New("must be 16 hosts at most")
		}
	}
	return all, nil
}
