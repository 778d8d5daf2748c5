package main

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/taskhost/taskhost/plugins/internal/config"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// piece is how much is done between two reports of progress.
const piece = 1 << 20

// compress writes the input in config format. The same input gives the same output: no names, no times.
func compress(input []byte) ([]byte, error) {
	format, err := config.Choice("format", "gzip", "zstd", "zlib", "deflate")
	if err != nil {
		return nil, err
	}
	level, err := config.Number("level", 6, 1, 9)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := newWriter(format, level, len(input), &out)
	if err != nil {
		return nil, err
	}
	for done := 0; done < len(input); done += piece {
		if len(input) > piece {
			taskhost.ProgressFraction(float64(done)/float64(len(input)), "")
		}
		if _, err := w.Write(input[done:min(done+piece, len(input))]); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return out.Bytes(), err
}

func newWriter(format string, level, size int, out io.Writer) (io.WriteCloser, error) {
	switch format {
	case "gzip":
		return gzip.NewWriterLevel(out, level)
	case "zlib":
		return zlib.NewWriterLevel(out, level)
	case "deflate":
		return flate.NewWriter(out, level)
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(zstdLevel(level)))
	if err != nil {
		return nil, err
	}
	e.ResetContentSize(out, int64(size))
	return e, nil
}

func zstdLevel(level int) zstd.EncoderLevel {
	switch {
	case level <= 2:
		return zstd.SpeedFastest
	case level <= 6:
		return zstd.SpeedDefault
	case level <= 8:
		return zstd.SpeedBetterCompression
	}
	return zstd.SpeedBestCompression
}
