package integration

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// selector is what an expression asks of one metric.
type selector struct {
	metric string
	labels map[string]string // label to the value, or the pattern, that it is compared with
}

// Tokens are strings, ranges, numbers with units, names and comparisons; anything else is one by one.
var promqlToken = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\[[^\]]*\]|[0-9][0-9a-zA-Z.]*|[a-zA-Z_:][a-zA-Z0-9_:]*|=~|!~|!=|\S`)

var (
	grouping = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
	operator = []string{"and", "or", "unless", "bool", "offset", "inf", "nan"}
)

// selectors lists what a PromQL expression, which promtool has found valid,
// selects, and the labels that it groups or matches by.
func selectors(expr string) (found []selector, groups []string) {
	tokens := promqlToken.FindAllString(expr, -1)
	at := func(i int) string {
		if i < len(tokens) {
			return tokens[i]
		}
		return ""
	}
	name := regexp.MustCompile(`^[a-zA-Z_:]`)
	for i := 0; i < len(tokens); i++ {
		word := tokens[i]
		switch {
		case slices.Contains(grouping, word) && at(i+1) == "(":
			for i += 2; i < len(tokens) && tokens[i] != ")"; i++ {
				if tokens[i] != "," {
					groups = append(groups, tokens[i])
				}
			}
		case !name.MatchString(word), slices.Contains(operator, word), slices.Contains(grouping, word):
		case at(i+1) == "(", slices.Contains(grouping, at(i+1)) && !strings.HasPrefix(word, "fantail"): // a function, or sum by (...)
		default:
			s := selector{metric: word, labels: map[string]string{}}
			if at(i+1) == "{" {
				for i += 2; i+2 < len(tokens) && tokens[i] != "}"; i++ {
					if tokens[i] != "," {
						s.labels[tokens[i]] = strings.Trim(tokens[i+2], `"'`)
						i += 2
					}
				}
			}
			found = append(found, s)
		}
	}
	return found, groups
}

func TestSelectorsFindsWhatExpressionsAsk(t *testing.T) {
	for expr, want := range map[string]struct{ selects, groups string }{
		`up{job="a"} == 0 or absent(up)`:                                              {`up{job=a} up`, ""},
		`sum without (c) (rate(x_total{c=~"p|q"}[5m]))`:                               {`x_total{c=p|q}`, "c"},
		`histogram_quantile(0.99, sum by (k, le) (rate(h_bucket[$__rate_interval])))`: {`h_bucket`, "k le"},
		`a:b:c > 6 * 3600 and on (job) y{d!="e", f='g'} offset 5m`:                    {`a:b:c y{d=e,f=g}`, "job"},
		`topk(10, x{d=~"$d"}) > bool 1e3`:                                             {`x{d=$d}`, ""},
		`fantail_x / on () group_left (version) fantail_y`:                            {`fantail_x fantail_y`, "version"},
	} {
		found, groups := selectors(expr)
		var got []string
		for _, s := range found {
			var labels []string
			for _, l := range slices.Sorted(maps.Keys(s.labels)) {
				labels = append(labels, l+"="+s.labels[l])
			}
			text := s.metric
			if len(labels) > 0 {
				text += "{" + strings.Join(labels, ",") + "}"
			}
			got = append(got, text)
		}
		if g := strings.Join(got, " "); g != want.selects || strings.Join(groups, " ") != want.groups {
			t.Errorf("%s selects %s by %v; want %s by %s", expr, g, groups, want.selects, want.groups)
		}
	}
}
