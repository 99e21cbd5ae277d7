package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// completing are shells that complete the words of $1, $2, ... and print their offers, a name a line.
// bash and zsh complete on a terminal only. Their functions that show names are replaced here;
// everything else is what "fantail completion" printed.
var completing = map[string][]string{
	"bash": {"bash", "--norc", "-c", `
		_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
		compopt() { :; }
		source <(fantail completion bash)
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_TYPE=9 COMP_KEY=9
		COMP_POINT=${#COMP_LINE}
		__start_fantail
		printf '%s\n' "${COMPREPLY[@]}"`, "bash"},
	"zsh": {"zsh", "-f", "-c", `
		compdef() { :; }
		_describe() { print -l -- "${completions[@]%%:*}"; }
		_arguments() { :; }
		source <(fantail completion zsh)
		words=("$@") CURRENT=$#
		_fantail`, "zsh"},
	"fish": {"fish", "--no-config", "-c", `fantail completion fish | source; complete -C (string join ' ' -- $argv) | string replace -r '\t.*' ''; true`},
}

// TestShellsCompleteNames has each shell complete with the script that Fantail makes for it.
func TestShellsCompleteNames(t *testing.T) {
	h := newHome(t)
	address := servers.Address(t)
	h.write("fantail.yaml", "listen: "+address+"\nstore: { pebble: { dir: store } }\n")
	h.write("developers/acme.yaml", `developer: acme
destinations:
  - { name: app, kind: webhook, settings: { url: "https://acme.example/a", secret: "a-secret-of-acme" } }
  - { name: lake, kind: webhook, settings: { url: "https://acme.example/b", secret: "a-secret-of-acme" } }
`)
	p := h.serve(address)
	dir := t.TempDir()
	tourProgram(t, dir)
	for shell, line := range completing {
		complete := func(words ...string) string {
			cmd := exec.CommandContext(t.Context(), line[0], append(append([]string(nil), line[1:]...), words...)...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "FANTAIL_SERVER=http://"+address, "HOME="+dir)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s %v: %v", shell, words, err)
			}
			return strings.Join(strings.Fields(string(out)), " ")
		}
		for words, want := range map[string]string{
			"fantail pause a": "acme/", "fantail pause acme/": "acme/app acme/lake", "fantail pause acme/l": "acme/lake",
			"fantail deliveries --developer a": "acme", "fantail retry --developer acme --destination l": "lake", "fantail test --type slee": "sleep",
			"fantail retr": "retry",
		} {
			if got := complete(strings.Fields(words)...); got != want {
				t.Errorf("%s: %q offers %q, want %q", shell, words, got, want)
			}
		}
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	for shell, line := range completing {
		cmd := exec.CommandContext(t.Context(), line[0], append(append([]string(nil), line[1:]...), "fantail", "pause", "a")...)
		cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "FANTAIL_SERVER=http://"+address, "HOME="+dir)
		if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "" {
			t.Errorf("%s, without a daemon: %v %q", shell, err, out)
		}
	}
}
