package servers

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// reaper is a shell that outlives the test process by a moment. In whatever way that process ends
// (normally, by a panic, by SIGKILL), the kernel closes the pipe between them. The shell then ends the
// server and removes its folder. Pdeathsig alone would leave the folder, and the children of a server
// that it kills.
type reaper struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

// The shell reads pids, of which the last one counts, and acts when the pipe is closed. A zombie counts
// as ended: not every init collects orphans at once.
const reaperScript = `
alive() { case $(cat "/proc/$1/stat") in "" | *") Z "*) return 1 ;; esac; }
while read -r line; do pid=$line; done
if [ "${pid:-0}" -gt 0 ]; then
	kill -s CONT "$pid" $(cat "/proc/$pid/task/$pid/children") # it may be frozen, with its children
	kill -s "$1" "$pid"
	n=0
	while alive "$pid" && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
	kill -s KILL -- "-$pid"
fi 2>/dev/null
rm -rf -- "$2"
`

func newReaper(dir string, quit syscall.Signal) (*reaper, error) {
	cmd := exec.Command("/bin/sh", "-c", reaperScript, "fantail-test-reaper", fmt.Sprint(int(quit)), dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &reaper{cmd, pipe}, nil
}

// watch names the process to end; 0 for none.
func (r *reaper) watch(pid int) { fmt.Fprintln(r.pipe, pid) }

// close has the reaper do its work now, and waits until it is done.
func (r *reaper) close() {
	r.pipe.Close()
	r.cmd.Wait()
}
