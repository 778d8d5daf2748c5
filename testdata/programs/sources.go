//go:build sources

// Package programs only names the module that brings the C sources of zstd's command line, so that go.mod and go.sum pin it; nothing is
// built with it.
package programs

import _ "github.com/valyala/gozstd"
