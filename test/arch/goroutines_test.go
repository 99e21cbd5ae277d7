package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// elsewhere lists code of kinds that runs in goroutines which pkg/destination/fanout did not start.
// Nobody recovers there, so that a panic ends the process. Each entry is a function and how it starts
// a goroutine, with the reason why that is safe.
var elsewhere = map[string]string{
	"destinations/webhook refused: context.AfterFunc":                     "sets a deadline",
	"destinations/internal/network (*Network).connect: context.AfterFunc": "cancels a context",
	"destinations/mysql (*dialer).greet: context.AfterFunc":               "sets a deadline",
	"destinations/mysql open: sql.OpenDB":                                 "database/sql calls the driver in goroutines of its own, by way of a connector that knows no panics",
	"destinations/postgres (*pool).keep: time.AfterFunc":                  "says goodbye to idle connections, which reads nothing",
	"destinations/postgres (*pool).sweep: time.AfterFunc":                 "the same",
	"pkg/cloud/aws (*answer).Close: time.AfterFunc":                       "closes a body",
	"pkg/cloud/aws (*fetcher).Do: context.AfterFunc":                      "cancels a context",
	"pkg/cloud/aws (*transport).Do: context.AfterFunc":                    "gives back bytes of the budget",
	"pkg/cloud/aws newCredentialSource: sdk.NewCredentialsCache":          "the cache calls its provider in a goroutine of its own, which is guarded",
}

// starters are calls that run something in another goroutine. Functions are listed by package and
// name, methods by name alone.
var starters = map[string]bool{
	"time.AfterFunc": true, "context.AfterFunc": true, "sql.OpenDB": true, "sdk.NewCredentialsCache": true, "aws.NewCredentialsCache": true,
	".Go": true, ".TryGo": true, ".DoChan": true,
}

func TestKindsStartGoroutinesByTheFanOut(t *testing.T) {
	found := map[string]string{}
	for _, root := range []string{"destinations", "pkg/cloud"} {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(path), "test") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, _ := filepath.Rel("../..", filepath.Dir(path))
			for _, s := range starts(t, filepath.ToSlash(name), text) {
				found[s.what] = s.where
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for what, where := range found {
		if elsewhere[what] == "" {
			t.Errorf("%s: %s: start it by pkg/destination/fanout, or say in test/arch why a panic there cannot be", where, what)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(elsewhere)) {
		if found[what] == "" {
			t.Errorf("nothing does this any more: %s", what)
		}
	}
}

// start is a place where something begins to run in another goroutine.
type start struct{ what, where string }

// starts finds them in a file of a package.
func starts(t *testing.T, name string, text []byte) (all []start) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range file.Decls {
		within := "a variable"
		if f, ok := decl.(*ast.FuncDecl); ok {
			within = f.Name.Name
			if f.Recv != nil {
				within = fmt.Sprintf("(%s).%s", receiver(f.Recv.List[0].Type), within)
			}
		}
		add := func(at ast.Node, how string) {
			all = append(all, start{name + " " + within + ": " + how, files.Position(at.Pos()).String()})
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				add(n, "go")
			case *ast.SelectorExpr: // called or handed on
				how := "." + n.Sel.Name
				if x, ok := n.X.(*ast.Ident); ok && starters[x.Name+how] {
					how = x.Name + how
				}
				if starters[how] {
					add(n, how)
				}
			}
			return true
		})
	}
	return all
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return "*" + receiver(e.X)
	case *ast.Ident:
		return e.Name
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	}
	return "?"
}

func TestEveryWayToStartAGoroutineIsSeen(t *testing.T) {
	for code, want := range map[string]string{
		`func f() { go func() {}() }`:                                       "x f: go",
		`func (s *set[T]) f() { var w sync.WaitGroup; w.Go(func() {}) }`:    "x (*set).f: .Go",
		`func f() { g, _ := errgroup.WithContext(ctx); g.TryGo(nil) }`:      "x f: .TryGo",
		`func f() { time.AfterFunc(1, func() {}) }`:                         "x f: time.AfterFunc",
		`func f() { defer context.AfterFunc(ctx, func() {})() }`:            "x f: context.AfterFunc",
		`var later = time.AfterFunc`:                                        "x a variable: time.AfterFunc",
		`func f() { sql.OpenDB(nil) }`:                                      "x f: sql.OpenDB",
		`func f() { group.DoChan("", nil) }`:                                "x f: .DoChan",
		`func f() { func() { func() { go f() }() }() }`:                     "x f: go",
		`func f() { fanout.Each(items, order, work, done); time.After(1) }`: "",
	} {
		got := ""
		for _, s := range starts(t, "x", []byte("package x\n"+code)) {
			got += s.what
		}
		if got != want {
			t.Errorf("%s: found %q, want %q", code, got, want)
		}
	}
}
