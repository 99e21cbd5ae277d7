// Command s3server is versitygw, an S3 server that really checks signatures,
// expiry, checksums and conditions, over a folder. It is a process of its own
// because the library changes its working directory.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"
)

func main() {
	addr := flag.String("addr", "", "address to listen on")
	dir := flag.String("dir", "", "folder for everything")
	region := flag.String("region", "", "region that signatures must name")
	admin := flag.String("admin", "", "access key that may do everything; its secret is in S3SERVER_ADMIN_SECRET")
	user := flag.String("user", "", "access key that may do what bucket policies allow; its secret is in S3SERVER_USER_SECRET")
	flag.Parse()
	if err := serve(*addr, *dir, *region, account(*admin, "S3SERVER_ADMIN_SECRET", auth.RoleAdmin), account(*user, "S3SERVER_USER_SECRET", auth.RoleUser)); err != nil {
		fmt.Fprintln(os.Stderr, "s3server:", err)
		os.Exit(1)
	}
}

func account(access, secretVar string, role auth.Role) auth.Account {
	return auth.Account{Access: access, Secret: os.Getenv(secretVar), Role: role}
}

func serve(addr, dir, region string, admin, user auth.Account) error {
	buckets, sidecar, accounts := filepath.Join(dir, "buckets"), filepath.Join(dir, "sidecar"), filepath.Join(dir, "accounts")
	for _, d := range []string{buckets, sidecar, accounts} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	metadata, err := meta.NewSideCar(sidecar) // extended attributes are not had on every file system
	if err != nil {
		return err
	}
	backend, err := posix.New(buckets, metadata, posix.PosixOpts{SideCarDir: sidecar})
	if err != nil {
		return err
	}
	iam, err := auth.NewInternal(admin, accounts)
	if err != nil {
		return err
	}
	if err := iam.CreateAccount(user); err != nil {
		return err
	}
	s, err := s3api.New(backend, middlewares.RootUserConfig{Access: admin.Access, Secret: admin.Secret}, region, iam, nil, nil, nil, nil,
		s3api.WithKeepAlive(), s3api.WithHealth("/health"), s3api.WithConcurrencyLimiter(4096, 4096))
	if err != nil {
		return err
	}
	go func() {
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		<-end
		s.ShutDown()
		os.Exit(0)
	}()
	return s.ServeMultiPort([]string{addr})
}
