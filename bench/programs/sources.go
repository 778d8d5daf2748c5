//go:build sources

// Package programs holds real programs that bench runs as guests. This file only names the modules that bring the C sources of two of
// them, so that go.mod and go.sum pin them; nothing is built with it.
package programs

import (
	_ "github.com/DataDog/zstd"
	_ "github.com/mattn/go-sqlite3"
)
