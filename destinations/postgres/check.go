package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Check looks at connection, certificates, rights and tables, and at the bucket
// and the links. The server plans the very statements of deliveries, and runs none.
func (p *postgres) Check(ctx context.Context) error {
	const what = "check the database"
	var at *place
	err := p.session(ctx, func(c *conn) (err error) {
		if at, err = p.look(ctx, c); err != nil {
			return err
		}
		if err := p.obstacle(at, nil); err != nil || at.ReadOnly {
			return err
		}
		return p.plan(ctx, c, at)
	})
	if err = p.looked(at, err); err == nil && at.ReadOnly {
		err = errors.New("this server takes no writes: it is a standby")
	}
	if err != nil {
		fault, _ := p.refusal(what, err, at, nil)
		return fault
	}
	_, all := p.judge(at)
	var said []string
	if text := worded(all); text != "" {
		said = append(said, p.shown(text))
	}
	err = p.sender.Check(ctx, p.target.TLS)
	if remark, ok := errors.AsType[destination.Remark](err); ok {
		said = append(said, string(remark))
	} else if err != nil {
		return err
	}
	if said != nil {
		return destination.Remark(strings.Join(said, "; "))
	}
	return nil
}

// plan has the server plan what deliveries run, with the same types, for the tables
// that are complete.
func (p *postgres) plan(ctx context.Context, c *conn, at *place) error {
	for i, sql := range []string{p.statements.users, p.statements.data, p.statements.other} {
		t := at.Tables[i]
		if ddl, _ := p.judgeTable(at, t); ddl != nil {
			continue
		}
		none := slices.Repeat([][]byte{[]byte("{}")}, len(t.Names()))
		if err := c.ExecParams(ctx, "EXPLAIN "+sql, none, nil, nil, nil).Read().Err; err != nil {
			return err
		}
	}
	return nil
}
