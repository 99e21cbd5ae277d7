package servers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// startMySQLItself starts the MySQL that make setup takes from Debian unstable. It lies in a folder
// with everything that it links, the C library too, so that the system is not changed. Its own loader
// starts it.
func startMySQLItself(at port, certs *certificates) (*process, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	tree := filepath.Join(root, ".tools", "mysql", "usr")
	loader, err := find("ld-linux*.so.*", filepath.Join(tree, "lib", "*-linux-gnu*"))
	if err != nil {
		return nil, errors.New("MySQL is not installed: run make setup, or name a server in FANTAIL_TEST_MYSQL_DSN")
	}
	dir, err := newDir("mysql")
	if err != nil {
		return nil, err
	}
	data, share := filepath.Join(dir, "data"), filepath.Join(tree, "share", "mysql")
	program := []string{"--library-path", filepath.Dir(loader), filepath.Join(tree, "sbin", "mysqld"), "--no-defaults",
		"--lc-messages-dir=" + share, "--character-sets-dir=" + filepath.Join(share, "charsets"), "--plugin-dir=" + filepath.Join(tree, "lib", "mysql", "plugin"),
		"--secure-file-priv=NULL", "--auto-generate-certs=OFF", "--innodb-redo-log-capacity=8M"}
	if os.Geteuid() == 0 {
		program = append(program, "--user=root") // nobody may not reach the folder of the module
	}
	args, err := mysqlArgs(dir, data, at, certs)
	if err == nil {
		err = run(false, dir, loader, append(program, "--datadir="+data, "--initialize-insecure")...)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("set up MySQL: %w", err)
	}
	args = append(args, "--mysqlx=OFF")
	if certs == nil {
		args = append(args, "--tls-version=")
	}
	return launch(command{
		name: "mysql", path: loader, args: append(program, args...),
		quit: syscall.SIGTERM, kill: syscall.SIGKILL, ready: answersMySQL(at),
	}, dir)
}
