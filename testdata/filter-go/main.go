// A program that knows nothing of taskhost: it reads JSON values from its standard input and writes them indented.
//
// -compact writes them on one line each, -keys the keys of objects alone, -fail N exits with N after the output.
// Bad JSON is a message on standard error that names the place, and exit code 1.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

func main() {
	compact := flag.Bool("compact", false, "one line for each value")
	keys := flag.Bool("keys", false, "the keys of objects alone")
	fail := flag.Int("fail", 0, "exit with this code after the output")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	err := filter(os.Stdin, out, *compact, *keys)
	if err := errors.Join(err, out.Flush()); err != nil {
		fmt.Fprintln(os.Stderr, "filter:", err)
		os.Exit(1)
	}
	if *fail != 0 {
		fmt.Fprintln(os.Stderr, "filter: failed as asked")
		os.Exit(*fail)
	}
}

func filter(in io.Reader, out io.Writer, compact, keys bool) error {
	from, to := json.NewDecoder(in), json.NewEncoder(out)
	from.UseNumber()
	to.SetEscapeHTML(false)
	if !compact {
		to.SetIndent("", "  ")
	}
	for {
		var value any
		if err := from.Decode(&value); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("byte %d: %w", from.InputOffset(), err)
		}
		if object, ok := value.(map[string]any); keys && ok {
			value = slices.Sorted(maps.Keys(object))
		}
		if err := to.Encode(value); err != nil {
			return err
		}
	}
}
