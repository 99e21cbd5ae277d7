package clients

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// platforms are back ends around the code that docs/CONSOLE.md has for whoever embeds the portal, by the language of its
// block. Each answers one request: it prints where it sends the browser.
var platforms = map[string]string{
	"go": `package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func page(w http.ResponseWriter, r *http.Request, token string) (err error) {
	ctx := context.Background()
CODE	return err
}

func main() {
	w := httptest.NewRecorder()
	if err := page(w, httptest.NewRequest("GET", "/", nil), os.Getenv("FANTAIL_TOKEN")); err != nil {
		panic(err)
	}
	fmt.Println(w.Code, w.Header().Get("Location"))
}
`,
	"python": `import json, os, urllib.request

def redirect(url, code):
    return f"{code} {url}"

def page(token):
CODE
print(page(os.environ["FANTAIL_TOKEN"]))
`,
	"ts": `declare const process: { env: Record<string, string> }
const response = { redirect: (code: number, url: string) => console.log(code, url) }
async function page(token: string) {
CODE}
await page(process.env.FANTAIL_TOKEN)
export {}
`,
}

// TestTheCodeOfThePortalWorks runs what docs/CONSOLE.md has for back ends against the daemon: each is five lines at the
// most, and its link opens one session, of the developer and with the rights that the code names.
func TestTheCodeOfThePortalWorks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/CONSOLE.md")
	if err != nil {
		t.Fatal(err)
	}
	url := daemon(t)
	c, err := client.New(url, token, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutDocument(t.Context(), "acme", []byte("developer: acme\ndestinations: []\n"), client.ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	venv, err := filepath.Abs("../../.tools/clients/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string][]string{"go": {"go", "run"}, "python": {venv}, "ts": {nodeBin(t)}}
	for language, around := range platforms {
		t.Run(language, func(t *testing.T) {
			m := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
			if len(m) != 1 {
				t.Fatalf("docs/CONSOLE.md has %d blocks of %s, want one", len(m), language)
			}
			code := m[0][1]
			if n := strings.Count(code, "\n"); n > 5 {
				t.Errorf("it has %d lines, the docs promise five", n)
			}
			if !strings.Contains(code, "https://events.example.com") {
				t.Fatal("it does not name the daemon that the test puts another in place of")
			}
			code = regexp.MustCompile(`(?m)^`).ReplaceAllString(strings.TrimSuffix(code, "\n"), "    ") + "\n"
			file := filepath.Join(t.TempDir(), "platform."+map[string]string{"go": "go", "python": "py", "ts": "mts"}[language])
			write(t, filepath.Dir(file), filepath.Base(file), strings.Replace(around, "CODE", strings.ReplaceAll(code, "https://events.example.com", url), 1))
			if language == "ts" { // its types are judged, too
				write(t, filepath.Dir(file), "tsconfig.json",
					`{"compilerOptions":{"strict":true,"target":"es2022","lib":["es2022","dom"],"module":"nodenext","types":[]},"files":["platform.mts"]}`)
				run(t, ".", nil, commands["ts"][0], "../../clients/typescript/node_modules/typescript/bin/tsc", "--project", filepath.Dir(file))
				file = strings.TrimSuffix(file, ".mts") + ".mjs"
			}
			command := append(slices.Clip(commands[language]), file)
			said := strings.Fields(run(t, ".", []string{"FANTAIL_TOKEN=" + token, "NO_PROXY=127.0.0.1"}, command[0], command[1:]...))
			if len(said) != 2 || said[0] != "303" || !strings.HasPrefix(said[1], "http://console.example/console/#link=") {
				t.Fatalf("it sends browsers to %q", said)
			}
			_, fragment, _ := strings.Cut(said[1], "#link=")
			s, err := c.BeginSession(context.Background(), fragment)
			if err != nil || strings.Join(s.Developers, " ") != "acme" || strings.Join(s.May, " ") != "read retry test" {
				t.Errorf("its link opens %+v, %v", s, err)
			}
			if _, err := c.BeginSession(context.Background(), fragment); err == nil {
				t.Error("its link opens a second session")
			}
		})
	}
}
