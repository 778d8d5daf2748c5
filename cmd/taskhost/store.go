package main

import (
	"context"

	"github.com/taskhost/taskhost/manager/sqlitestore"
)

// taskStore keeps the tasks of a data folder.
type taskStore struct{ *sqlitestore.Store }

func openFile(ctx context.Context, file string) (*taskStore, error) {
	s, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: file})
	return &taskStore{s}, err
}

func (*taskStore) Backup(context.Context, string) error { return nil }
func (*taskStore) Vacuum(context.Context) error         { return nil }

func checkFile(context.Context, string) ([]string, error) { return nil, nil }
