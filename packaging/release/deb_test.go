package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// laterDeb makes the package of a later version out of the same program, with other settings as it comes.
func laterDeb(t *testing.T, version string, change func(settings string) string) string {
	t.Helper()
	source, out := t.TempDir(), t.TempDir()
	for _, folder := range []string{"packaging/deb", "configs/systemd"} {
		if err := os.CopyFS(filepath.Join(source, folder), os.DirFS(filepath.Join("../..", folder))); err != nil {
			t.Fatal(err)
		}
	}
	settings, err := os.ReadFile("../deb/fantail.yaml")
	if err := errors.Join(err, os.WriteFile(filepath.Join(source, "packaging/deb/fantail.yaml"), []byte(change(string(settings))), 0o600),
		os.WriteFile(filepath.Join(source, "CHANGELOG.md"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	p := platform{"linux", runtime.GOARCH}
	if err := os.Symlink(filepath.Join(dist(t), p.String()), filepath.Join(out, p.String())); err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, testDate)
	if err != nil {
		t.Fatal(err)
	}
	r := &release{source: source, out: out, version: version, date: at}
	if err := r.deb(t.Context(), p, filepath.Join(dist(t), "extras")); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(out, "fantail_"+runtime.GOARCH+".deb")
}

// dpkg runs it on a system, without anybody who could be asked.
func (s *system) dpkg(args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "dpkg", append([]string{"--root=" + s.dir, "--log=" + os.DevNull}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("dpkg %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// unit is the value of a key of the installed unit.
func (s *system) unit(name, key string) string {
	s.t.Helper()
	m := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindStringSubmatch(s.read("usr/lib/systemd/system/" + name))
	if m == nil {
		s.t.Fatalf("%s has no %s", name, key)
	}
	return m[1]
}

// TestTheDebianPackage is a life of it: installed, used, upgraded twice, removed, installed again, purged.
func TestTheDebianPackage(t *testing.T) {
	if !asRoot(t) {
		return
	}
	s := newSystem(t, "ca-certificates", "passwd", "procps")
	first := filepath.Join(dist(t), "fantail_"+runtime.GOARCH+".deb")
	if out := s.dpkg("--install", first); !strings.Contains(out, "does not run yet") {
		t.Errorf("it does not say what to do next:\n%s", out)
	}

	user := regexp.MustCompile(`(?m)^fantail:x:(\d+):(\d+):Fantail:/var/lib/fantail:/usr/sbin/nologin$`).FindStringSubmatch(s.read("etc/passwd"))
	if user == nil {
		t.Fatalf("the user is not there:\n%s", s.read("etc/passwd"))
	}
	uid, gid := number(t, user[1]), number(t, user[2])
	if uid == 0 || uid >= 1000 || !strings.Contains(s.read("etc/group"), "\nfantail:x:"+user[2]+":\n") || !strings.Contains(s.read("etc/shadow"), "\nfantail:!") {
		t.Errorf("the user can log in, or is not one of the system: %q", user[0])
	}
	s.owned("etc/fantail", 0, gid, 0o750)
	s.owned("etc/fantail/fantail.yaml", 0, gid, 0o640)
	s.owned("etc/fantail/developers", 0, gid, 0o750)
	s.owned("etc/fantail/secrets", 0, gid, 0o750)
	s.owned("var/lib/fantail", uid, gid, 0o700)
	s.owned("usr/bin/fantail", 0, 0, 0o755)
	if out := s.dpkg("--verify", "fantail"); out != "" {
		t.Errorf("files are not as packed:\n%s", out)
	}
	for _, unit := range []string{"fantail.service", "fantail-backup.service"} {
		program, _, _ := strings.Cut(s.unit(unit, "ExecStart"), " ")
		if info, err := os.Stat(s.at(program)); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s starts %s: %v", unit, program, err)
		}
	}
	if out, err := s.command(uid, gid, "/", "/usr/bin/fantail", "validate", "--config", "/etc/fantail/fantail.yaml").CombinedOutput(); err != nil {
		t.Errorf("the settings that come with it: %v\n%s", err, out)
	}
	verifyUnits(t, s)

	// An operator writes settings.
	api := servers.Address(t)
	shipped := s.read("etc/fantail/fantail.yaml")
	mine := strings.Replace(shipped, "listen: 127.0.0.1:8080", "listen: "+api+" # mine", 1)
	if mine == shipped {
		t.Fatal("the settings name no address")
	}
	s.write("etc/fantail/fantail.yaml", mine, 0o640)
	s.write("etc/fantail/developers/acme.yaml", "developer: acme\ndestinations:\n  - { name: app, kind: webhook, settings: { url: \"https://acme.example/hooks\", secret: \"a-secret-of-acme\" } }\n", 0o640)
	if err := errors.Join(os.Chown(s.at("etc/fantail/fantail.yaml"), 0, int(gid)), os.Chown(s.at("etc/fantail/developers/acme.yaml"), 0, int(gid))); err != nil {
		t.Fatal(err)
	}
	start := func() (*client.Client, func()) {
		t.Helper()
		if s.unit("fantail.service", "User") != "fantail" || s.unit("fantail.service", "Group") != "fantail" {
			t.Fatal("the service is another user")
		}
		return s.daemon(s.command(uid, gid, s.unit("fantail.service", "WorkingDirectory"), strings.Fields(s.unit("fantail.service", "ExecStart"))...), api)
	}
	c, stop := start()
	sent, err := c.Send(t.Context(), client.SendRequest{Developer: "acme", Body: []byte(`{"type":"sleep","user":{"user_id":"u1"},"data":[]}`)})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	s.owned("var/lib/fantail/fantail.key", uid, gid, 0o600)
	key := s.read("var/lib/fantail/fantail.key")

	kept := func(when string) {
		t.Helper()
		if s.read("etc/fantail/fantail.yaml") != mine || s.read("var/lib/fantail/fantail.key") != key || !strings.Contains(s.read("etc/fantail/developers/acme.yaml"), "acme.example") {
			t.Errorf("%s: the operator's settings or the key are not what they were", when)
		}
	}
	same := func(text string) string { return text }
	// An upgrade asks nothing where the settings that come with it are what they were.
	s.dpkg("--install", laterDeb(t, "v0.1.1", same))
	kept("after an upgrade")
	// Where they are not, apt-get asks, or keeps what is there when it is told to.
	last := laterDeb(t, "v0.2.0-rc.1", func(text string) string { return text + "# something new\n" })
	s.dpkg("--force-confold", "--install", last)
	kept("after an upgrade with other settings")
	if out, err := exec.CommandContext(t.Context(), "dpkg-query", "--admindir="+s.at("var/lib/dpkg"), "--show", "--showformat=${Version} ${Status}", "fantail").Output(); err != nil || string(out) != "0.2.0~rc.1 install ok installed" {
		t.Errorf("%v: it is %q", err, out)
	}
	s.owned("etc/fantail/fantail.yaml", 0, gid, 0o640)
	c, stop = start()
	if e, err := c.Event(t.Context(), sent.ID); err != nil || e.Developer != "acme" {
		t.Errorf("the event of before the upgrade: %v, %+v", err, e)
	}
	stop()

	s.dpkg("--remove", "fantail")
	kept("after it was removed")
	s.gone("usr/bin/fantail", "usr/lib/systemd/system/fantail.service", "usr/share/man/man1/fantail.1.gz")
	if info, err := os.Stat(s.at("var/lib/fantail/store")); err != nil || !info.IsDir() {
		t.Errorf("the store went with the package: %v", err)
	}
	s.dpkg("--install", last)
	kept("after it was installed again")
	s.owned("etc/fantail/secrets", 0, gid, 0o750)
	c, stop = start()
	if _, err := c.Event(t.Context(), sent.ID); err != nil {
		t.Errorf("the event of before the removal: %v", err)
	}
	stop()

	s.write("etc/fantail/secrets/acme/app.key", "a-secret", 0o640)
	if err := os.MkdirAll(s.at("etc/systemd/system/multi-user.target.wants"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/usr/lib/systemd/system/fantail.service", s.at("etc/systemd/system/multi-user.target.wants/fantail.service")); err != nil {
		t.Fatal(err)
	}
	s.dpkg("--purge", "fantail")
	s.gone("etc/fantail", "var/lib/fantail", "usr/bin/fantail", "usr/share/doc/fantail", "etc/systemd/system/multi-user.target.wants/fantail.service", "var/lib/dpkg/info/fantail.list")
	if !strings.Contains(s.read("etc/passwd"), "\nfantail:") {
		t.Error("the user's id is free for somebody else")
	}
}

// verifyUnits has systemd judge the units where they lie, if this machine has it.
func verifyUnits(t *testing.T, s *system) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Log("systemd-analyze is not here: the units were not verified")
		return
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "--root="+s.dir,
		"/usr/lib/systemd/system/fantail.service", "/usr/lib/systemd/system/fantail-backup.service", "/usr/lib/systemd/system/fantail-backup.timer").CombinedOutput()
	if err != nil || strings.Contains(string(out), "fantail") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	for _, unit := range []string{"fantail.service", "fantail-backup.service"} {
		// Of 100, by systemd's own judgement; a service without any hardening has 96.
		if out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=yes", "--threshold=25", "--no-pager", s.at("usr/lib/systemd/system/"+unit)).CombinedOutput(); err != nil {
			t.Errorf("systemd-analyze security: %v\n%s", err, out)
		}
	}
}

// TestThePackageIsInstalledWhereItsUserIs: who made user or group by hand, or has them from elsewhere,
// installs it too, and nothing of theirs changes hands.
func TestThePackageIsInstalledWhereItsUserIs(t *testing.T) {
	if !asRoot(t) {
		return
	}
	for name, tc := range map[string]struct {
		passwd, group string
		uid, gid      uint32 // of the folder; 0: one that was made
	}{
		"a group alone":               {"", "fantail:x:150:root\n", 0, 150},
		"a user in another group":     {"fantail:x:151:100:me:/home/fantail:/bin/sh\n", "users:x:100:\n", 151, 0},
		"both, and the folder of old": {"fantail:x:151:152:me:/home/fantail:/bin/sh\n", "fantail:x:152:\n", 160, 161},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t, "ca-certificates", "passwd", "procps")
			s.write("etc/passwd", s.read("etc/passwd")+tc.passwd, 0o644)
			s.write("etc/group", s.read("etc/group")+tc.group, 0o644)
			if tc.uid == 160 { // systemd gives it to the user at a start
				s.folder("var/lib/fantail", 0o700)
				if err := os.Chown(s.at("var/lib/fantail"), 160, 161); err != nil {
					t.Fatal(err)
				}
			}
			s.dpkg("--install", filepath.Join(dist(t), "fantail_"+runtime.GOARCH+".deb"))
			if !strings.Contains(s.read("etc/passwd"), tc.passwd) || !strings.Contains(s.read("etc/group"), tc.group) {
				t.Errorf("they are not what they were:\n%s\n%s", s.read("etc/passwd"), s.read("etc/group"))
			}
			id := func(file string) uint32 {
				m := regexp.MustCompile(`(?m)^fantail:x:(\d+):`).FindStringSubmatch(s.read(file))
				if m == nil {
					t.Fatalf("%s has no fantail", file)
				}
				return number(t, m[1])
			}
			if tc.uid == 0 {
				tc.uid = id("etc/passwd")
			}
			if tc.gid == 0 {
				tc.gid = id("etc/group")
			}
			s.owned("var/lib/fantail", tc.uid, tc.gid, 0o700)
			s.owned("etc/fantail/fantail.yaml", 0, id("etc/group"), 0o640)
		})
	}
}
