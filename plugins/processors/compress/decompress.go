package main

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/taskhost/taskhost/plugins/internal/config"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// Bounds of what is decompressed. The window is what zstd has to keep: more than any of its levels but the "ultra" ones asks for.
const (
	standardBytes = 16 << 20 // what a host takes as output in its standard settings
	mostBytes     = 64 << 20
	mostWindow    = 32 << 20
)

// decompress writes what was compressed, up to config max_bytes.
func decompress(input []byte) ([]byte, error) {
	format, err := config.Choice("format", "auto", "gzip", "zstd", "zlib", "deflate")
	if err != nil {
		return nil, err
	}
	bound, err := config.Bytes("max_bytes", standardBytes, mostBytes)
	if err != nil {
		return nil, err
	}
	if format == "auto" {
		if format = detect(input); format == "" {
			return nil, taskhost.InvalidInputf("the input of %d bytes is not gzip, zstd or zlib; if it is deflate without a header, set config format=deflate", len(input))
		}
	}
	source := bytes.NewReader(input)
	r, err := newReader(format, source)
	if err != nil {
		return nil, broken(format, err)
	}
	defer r.Close()
	out, err := readAll(r, bound, func() float64 { return 1 - float64(source.Len())/float64(len(input)) })
	if errors.Is(err, errTooLong) {
		return nil, taskhost.InvalidInputf("the %d bytes of %s hold more than the %d that config max_bytes allows; raise it, to %dM at most, and the host's limits of output, if this is no bomb",
			len(input), format, bound, mostBytes>>20)
	}
	if err != nil {
		return nil, broken(format, err)
	}
	if rest := source.Len(); rest > 0 {
		return nil, taskhost.InvalidInputf("%d bytes follow the %s data", rest, format)
	}
	return out, nil
}

var errTooLong = errors.New("too long")

// readAll reads to the end, or until there is more than the bound.
func readAll(r io.Reader, bound int, done func() float64) ([]byte, error) {
	var out bytes.Buffer
	for next := piece; ; {
		n, err := io.CopyN(&out, r, int64(min(64<<10, bound+1-out.Len())))
		switch {
		case out.Len() > bound:
			return nil, errTooLong
		case errors.Is(err, io.EOF):
			return out.Bytes(), nil
		case err != nil:
			return nil, err
		case n == 0:
			return nil, io.ErrNoProgress
		}
		if out.Len() >= next {
			taskhost.ProgressFraction(done(), "")
			next += piece
		}
	}
}

// detect returns the format that the input begins as, or "".
func detect(input []byte) string {
	if len(input) < 2 {
		return ""
	}
	head := uint(input[0])<<8 | uint(input[1])
	switch {
	case head == 0x1f8b:
		return "gzip"
	case bytes.HasPrefix(input, []byte("\x28\xb5\x2f\xfd")), len(input) >= 4 && input[0]&0xf0 == 0x50 && string(input[1:4]) == "\x2a\x4d\x18":
		return "zstd"
	case input[0]&0x0f == 8 && input[0]>>4 <= 7 && head%31 == 0:
		return "zlib"
	}
	return ""
}

func newReader(format string, source *bytes.Reader) (io.ReadCloser, error) {
	switch format {
	case "gzip":
		return gzip.NewReader(source)
	case "zlib":
		return zlib.NewReader(source)
	case "deflate":
		return flate.NewReader(source), nil
	}
	d, err := zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(mostWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// broken says what is wrong with the input.
func broken(format string, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return taskhost.InvalidInputf("the %s data ends early", format)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return taskhost.InvalidInputf("the zstd data needs a window of more than %d MiB; compress it with a lower level, or without --long", mostWindow>>20)
	}
	return taskhost.InvalidInputf("the %s data is damaged: %w", format, err)
}
