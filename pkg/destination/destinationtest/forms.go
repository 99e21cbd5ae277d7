package destinationtest

import (
	"fmt"
	"strings"
	"sync"

	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/pkg/secret/secrettest"
)

// hidesEveryForm lets the far side repeat every credential that it has of the
// destination in every form in which an answer may: the error and the receipt
// say that there was something, and do not show it.
func hidesEveryForm(b *bench) {
	d := b.open()
	var mu sync.Mutex
	var said []secrettest.Form
	known, forms := 1, 1
	for which := 0; which < known; which++ {
		for form := 0; form < forms; form++ {
			said = nil
			b.kind.Repeat(b.TB, b.far, func(credentials ...string) string {
				mu.Lock()
				defer mu.Unlock()
				if len(credentials) <= which {
					return ""
				}
				all := secrettest.Forms(credentials[which])
				known, forms = len(credentials), len(all)
				said = append(said, all[form])
				return "we got " + all[form].Text + " from you"
			})
			r, err := d.Send(b.ctx(), plain(b.TB, 1))
			if err == nil {
				b.Fatal("it succeeded at a far side that refuses everything")
			}
			b.wantHiddenIn(err)
			b.wantNoneOf(said, fmt.Sprintf("%v\n%s", err, r.Answer))
			b.far.Mend(b.TB)
		}
	}
}

// wantNoneOf asserts that something was taken out of shown, and nothing of said
// stands there.
func (b *bench) wantNoneOf(said []secrettest.Form, shown string) {
	b.Helper()
	if len(said) == 0 {
		b.Fatalf("the far side repeats nothing: %.1500s", shown)
	}
	for _, f := range said {
		if strings.Contains(shown, f.Core) || !strings.Contains(shown, secret.Redacted) {
			b.Errorf("a credential shows as %s, or no answer does: %q is shown as %.1500q", f.Name, f.Text, shown)
		}
	}
}
