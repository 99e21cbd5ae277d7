package kafka

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// logger passes on what the client warns of: that a broker is away is told nowhere else.
type logger struct{ note func(string) }

func (logger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

func (l logger) Log(_ kgo.LogLevel, text string, pairs ...any) {
	var b strings.Builder
	b.WriteString("kafka: " + text)
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&b, ", %v: %v", pairs[i], pairs[i+1])
	}
	l.note(b.String())
}
