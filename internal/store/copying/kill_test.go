package copying_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store/copying"
)

// child is the process that a test kills: it copies from one place to another.
func child() int {
	o := options(place{os.Getenv("FANTAIL_COPY_FROM_DIR"), os.Getenv("FANTAIL_COPY_FROM_URL")}, place{os.Getenv("FANTAIL_COPY_TO_DIR"), os.Getenv("FANTAIL_COPY_TO_URL")})
	o.Batch = 40
	rep, err := copying.Run(ctx, o)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Printf("copied %d, resumed %v\n", rep.Events, rep.Resumed)
	return 0
}

// TestACopyGoesOnAfterKill9 kills copies at random moments until one comes to its end. It compares
// both sides record by record before that, and a daemon can work on the target alone.
func TestACopyGoesOnAfterKill9(t *testing.T) {
	t.Parallel()
	source := folder(t)
	s := open(t, source)
	fill(t, s, 3000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	there, back := database(t), folder(t)
	killAndFinish(t, source, there)
	killAndFinish(t, there, back)
	killed := open(t, back)
	if n, err := copying.Count(ctx, killed); err != nil || n.Events != 3000 {
		t.Errorf("%+v events came back, %v", n, err)
	}
}

func killAndFinish(t *testing.T, from, to place) {
	t.Helper()
	killed := 0
	for long := 50; ; long += 60 { // so that it comes to its end, however slow the machine is
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "FANTAIL_COPY=1", "FANTAIL_COPY_FROM_DIR="+from.dir, "FANTAIL_COPY_FROM_URL="+from.url, "FANTAIL_COPY_TO_DIR="+to.dir, "FANTAIL_COPY_TO_URL="+to.url)
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(rand.IntN(long)+20)*time.Millisecond, func() { cmd.Process.Kill() })
		err := cmd.Wait()
		if kill.Stop(); err == nil {
			if killed < 5 || !strings.Contains(out.String(), "resumed true") {
				t.Errorf("after %d kills: %s", killed, &out)
			}
			t.Logf("after %d kills: %s", killed, &out)
			break
		}
		if cmd.ProcessState.ExitCode() == 1 {
			if strings.Contains(out.String(), "was copied to") { // the last one was killed when all was done
				break
			}
			t.Fatalf("after %d kills: %s", killed, &out)
		}
		if killed++; killed%4 == 1 {
			onOneSideAtMost(t, from, to)
		}
	}
}

// onOneSideAtMost: no daemon starts on a target that has anything, and none on its source.
func onOneSideAtMost(t *testing.T, from, to place) {
	t.Helper()
	target, err := to.open(false)
	if err == nil {
		n, failed := copying.Count(ctx, target)
		if target.Close(); failed != nil {
			t.Fatal(failed)
		}
		if n.Records <= 1 { // the copy was ended before it began
			return
		}
	} else if !strings.Contains(err.Error(), "run fantail store copy again") {
		t.Errorf("a daemon on the target: %v", err)
	}
	if _, refused := from.open(false); refused == nil || err == nil && !strings.Contains(refused.Error(), "was copied to") {
		t.Errorf("a daemon on the source: %v, on the target: %v", refused, err)
	}
}
