package postgres

import (
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
)

// TestEveryStatementNeedsItsResult: a server, or what stands before it, that says
// it is done after fewer has perhaps not written the rest.
func TestEveryStatementNeedsItsResult(t *testing.T) {
	for said, want := range map[int]string{0: "no result for a statement", 1: "no result for a statement", 2: "", 3: ""} {
		config, err := pgconn.ParseConfig("host=127.0.0.1 user=u sslmode=disable")
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		go answer(pgproto3.NewBackend(far, far), said)
		c, err := pgconn.Construct(&pgconn.HijackedConn{Conn: near, TxStatus: 'I', Frontend: pgproto3.NewFrontend(near, near), Config: config})
		if err != nil {
			t.Fatal(err)
		}
		err = statements{data: "INSERT"}.store(t.Context(), c, &sqltables.Rows{Data: make([]sqltables.Payload, 1)})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d results of 2: %v, want %q", said, err, want)
		}
		near.Close()
	}
}

// answer says of so many statements that each has written a row, and that it is done.
func answer(b *pgproto3.Backend, said int) {
	for {
		m, err := b.Receive()
		if err != nil {
			return
		}
		if _, last := m.(*pgproto3.Sync); !last {
			continue
		}
		for range said {
			b.Send(&pgproto3.ParseComplete{})
			b.Send(&pgproto3.BindComplete{})
			b.Send(&pgproto3.NoData{})
			b.Send(&pgproto3.CommandComplete{CommandTag: []byte("INSERT 0 1")})
		}
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if b.Flush() != nil {
			return
		}
	}
}
