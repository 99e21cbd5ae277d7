//go:build long

package scale

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// previous builds the last program of the schema before that of this build, out of the repository's history.
func previous(t *testing.T, schema int) string {
	t.Helper()
	git := func(args ...string) string {
		t.Helper()
		var wrong bytes.Buffer
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Stderr = "../..", &wrong
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("git %s: %v %s\nthis test needs the whole history of the repository", strings.Join(args, " "), err, &wrong)
		}
		return strings.TrimSpace(string(out))
	}
	introduced := strings.Fields(git("log", "--format=%H", fmt.Sprintf("-SschemaVersion = %d", schema), "--", "internal/store/pgstore/schema.go"))
	if len(introduced) == 0 {
		t.Fatalf("no commit introduces version %d of the schema: this test needs the whole history of the repository", schema)
	}
	commit := git("rev-parse", "--short", introduced[len(introduced)-1]+"^")
	dir := t.TempDir()
	tree, out := filepath.Join(dir, "tree.tar"), filepath.Join(dir, "fantail")
	git("archive", "-o", tree, commit)
	if log, err := exec.Command("tar", "-xf", tree, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("unpack: %v\n%s", err, log)
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", out, "./cmd/fantail")
	build.Dir = dir
	if log, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", commit, err, log)
	}
	t.Logf("the previous program is that of %s", commit)
	return out
}

// Daemons of the previous schema's program are replaced under load, behind a balancer, as docs/UPGRADING.md says:
// the schema first, then one daemon after the other; and back again. Nothing acknowledged is lost, and nothing comes
// twice: all stop in good order. The program before version 2 of the schema ran alone, so that one new daemon starts
// beside it, and on the way back the new ones stop first.
func TestADeployFromThePreviousVersionAndBack(t *testing.T) {
	_, schema := layOut(t, servers.PrivatePostgres(t), 1, shape{}).migrate()
	program := previous(t, schema)
	alone := schema == 2
	f := layOut(t, servers.PrivatePostgres(t), 2, shape{})
	a, b := f.daemons[0], f.daemons[1]
	fresh := map[*daemon]string{a: a.read("fantail.yaml"), b: b.read("fantail.yaml")}
	old := func(d *daemon) {
		text := fresh[d]
		if d.binary = program; alone {
			text = strings.Replace(text, "name: "+d.name+", ", "", 1)
		}
		d.write("fantail.yaml", text)
	}
	now := func(d *daemon) {
		d.binary = ""
		d.write("fantail.yaml", fresh[d]+"shutdown_delay: 3s\n")
	}
	migrate := func(program string) {
		t.Helper()
		out, err := exec.Command(program, "store", "migrate", "--config", filepath.Join(a.dir, "fantail.yaml")).CombinedOutput()
		if err != nil {
			t.Fatalf("migrate: %v\n%s", err, out)
		}
	}
	old(a)
	old(b)
	migrate(program)
	a.start()
	if !alone {
		b.start()
	}
	balancer := servers.StartBalancer(t, a.listen, b.listen)
	until(t, soon, "the balancer has daemons", func() bool { return clientOf(t, balancer.URL).Ready(t.Context()) == nil })
	l := newLoad(t, 4, balancer.URL)
	l.more(t, 200)
	migrate(binary)
	l.more(t, 200) // the old ones go on
	replace := func(d *daemon, by func(*daemon)) {
		if d.cmd != nil && !d.ended() {
			d.stop()
		}
		by(d)
		d.start()
		l.more(t, 100)
	}
	for range rounds(1) {
		replace(b, now)
		replace(a, now)
		l.more(t, 200)
		if alone {
			b.stop()
		} else {
			replace(b, old)
		}
		replace(a, old)
		l.more(t, 200)
	}
	f.settle(l.end(), nil, 0)
	t.Logf("%d requests were refused by daemons that stopped, and repeated", l.failed.Load())
}
