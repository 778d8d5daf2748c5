//go:build !unix

package durable

import "os/exec"

// account is the user that a server runs as: always that of this process.
type account struct{}

func postgresAccount() (account, error) { return account{}, nil }

func (account) use(*exec.Cmd) {}

func (account) own(string) error { return nil }
