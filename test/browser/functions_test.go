package browser

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// TestFunctionsOfThePages runs web/test: how times, numbers and durations look, addresses and filters, what tabs share.
func TestFunctionsOfThePages(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "../../web/test/run")
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(servers.Node(t))+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "# pass ") && !strings.Contains(string(out), "pass ") {
		t.Fatalf("web/test/run: %v\n%s", err, out)
	}
}
