package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// table is printed row by row, so that its rows are there even when a later run fails.
type table struct {
	o       *options
	columns []string
}

// newTable prints what the rows below it were measured on and with.
func (o *options) newTable(title string, columns ...string) *table {
	fmt.Fprintf(o.out, "\n### %s\n\n%s. %s, fantail %s, %s.\n`%s`\n\n", title, machine(o.Dir), runtime.Version(), revision(o.Binary), time.Now().UTC().Format(time.DateOnly), strings.Join(os.Args, " "))
	t := &table{o, columns}
	t.row(columns...)
	t.row(strings.Split(strings.Repeat("---|", len(columns)-1)+"---", "|")...)
	return t
}

func (t *table) row(cells ...string) {
	fmt.Fprintf(t.o.out, "| %s |\n", strings.Join(cells, " | "))
}

// bar is a promise, and whether it was kept.
type bar struct {
	name string
	met  bool
}

func bars(all ...bar) string {
	var s []string
	for _, b := range all {
		if b.met {
			s = append(s, b.name+" met")
		} else {
			s = append(s, "**"+b.name+" missed**")
		}
	}
	if len(s) == 0 {
		return "none set"
	}
	return strings.Join(s, ", ")
}

// machine describes the machine that the figures depend on.
func machine(dir string) string {
	return fmt.Sprintf("%d cores (%s), %s GiB of memory, Linux %s, store on %s",
		runtime.NumCPU(), field("/proc/cpuinfo", "model name"), gibibytes(field("/proc/meminfo", "MemTotal")), kernel(), fileSystem(dir))
}

// field returns the first value of a key in a file of "key : value" lines.
func field(file, key string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

func gibibytes(kib string) string {
	var n float64
	if _, err := fmt.Sscan(kib, &n); err != nil {
		return kib
	}
	return fmt.Sprintf("%.0f", n/(1<<20))
}

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(b))
}

// fileSystem returns the type of the file system that holds dir, and its device.
func fileSystem(dir string) string {
	path, err := filepath.Abs(dir)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	b, err2 := os.ReadFile("/proc/self/mounts")
	if err != nil || err2 != nil {
		return "unknown"
	}
	best, name := -1, "unknown"
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line) // device, where, type, ...
		if len(f) < 3 || len(f[1]) < best {
			continue
		}
		if within := strings.TrimSuffix(f[1], "/") + "/"; strings.HasPrefix(path+"/", within) {
			best, name = len(f[1]), f[2]+" ("+f[0]+")"
		}
	}
	return name
}

// revision returns the commit that the binary was built of, if it knows.
func revision(binary string) string {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return "unknown"
	}
	commit, changed := "of an unknown commit", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " with changes"
		}
	}
	return commit + changed
}
