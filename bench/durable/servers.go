package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// server is a process that lives until close: also when the run is interrupted, its clients leave first.
type server struct {
	name   string
	log    string // the file with what it printed
	cancel context.CancelFunc
	ended  chan struct{} // closed when the process is gone
	err    error         // how it ended; read it after ended
}

// serve starts a server. stop is the signal that asks it to end; when it does not, it is killed.
func serve(ctx context.Context, dir string, as account, stop os.Signal, program string, args ...string) (*server, error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(stop) }
	cmd.WaitDelay = 10 * time.Second
	as.use(cmd)
	s := &server{name: filepath.Base(program), log: log.Name(), cancel: cancel, ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	go func() {
		defer close(s.ended)
		s.err = cmd.Wait()
	}()
	return s, nil
}

// ready waits until try works.
func (s *server) ready(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", s.name, err)
		case <-s.ended:
			printed, _ := os.ReadFile(s.log)
			return fmt.Errorf("%s ended (%w) and printed:\n%s", s.name, s.err, printed)
		}
	}
}

// close ends the server and waits until it is gone.
func (s *server) close() error {
	s.cancel()
	<-s.ended
	var status *exec.ExitError
	if s.err == nil || errors.Is(s.err, context.Canceled) || errors.As(s.err, &status) { // how a server takes a signal is its own
		return nil
	}
	return fmt.Errorf("%s: %w", s.name, s.err)
}

// postgresPrograms is the folder of initdb and postgres, which are not in PATH on Debian.
func postgresPrograms() (string, error) {
	candidates, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		candidates = append(candidates, strings.TrimSpace(string(out)))
	}
	for i := range candidates {
		dir := candidates[len(candidates)-1-i]
		_, noInit := os.Stat(filepath.Join(dir, "initdb"))
		_, noServer := os.Stat(filepath.Join(dir, "postgres"))
		if noInit == nil && noServer == nil {
			return dir, nil
		}
	}
	return "", errors.New("PostgreSQL's server is not installed; run make bench-peers, or on Debian: apt-get install postgresql")
}

func redisProgram() (string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", errors.New("Redis's server is not installed; run make bench-peers, or on Debian: apt-get install redis-server")
	}
	return path, nil
}

// servePostgres starts PostgreSQL with its default settings on a socket in dir alone.
func servePostgres(ctx context.Context, dir string) (*server, error) {
	programs, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	as, err := postgresAccount()
	if err != nil {
		return nil, err
	}
	if err := as.own(dir); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(programs, "initdb"), "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--no-locale")
	initdb.Dir = dir
	as.use(initdb)
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return serve(ctx, dir, as, syscall.SIGINT, filepath.Join(programs, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=")
}

// serveRedis starts Redis on a socket in dir alone, with a log of all writes in place of snapshots.
func serveRedis(ctx context.Context, dir, fsync string) (*server, error) {
	program, err := redisProgram()
	if err != nil {
		return nil, err
	}
	return serve(ctx, dir, account{}, syscall.SIGTERM, program, "--port", "0", "--unixsocket", redisSocket(dir), "--dir", dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", fsync)
}

func redisSocket(dir string) string { return filepath.Join(dir, "redis.sock") }

// versions says which versions were measured.
func versions() string {
	var said []string
	if programs, err := postgresPrograms(); err == nil {
		said = append(said, firstLine(filepath.Join(programs, "postgres")))
	}
	if program, err := redisProgram(); err == nil {
		said = append(said, firstLine(program))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/riverqueue/river" || m.Path == "github.com/hibiken/asynq" {
				said = append(said, m.Path+" "+m.Version)
			}
		}
	}
	return strings.Join(said, "\n")
}

// firstLine is what a program answers to --version.
func firstLine(program string) string {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return program
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
