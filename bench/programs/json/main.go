// JSON in Go: a document is decoded and encoded again, into types and into maps.
package main

import (
	"bytes"
	"encoding/json"

	"github.com/taskhost/taskhost/bench/programs/words"
)

// order has its fields in the order of their names, in which maps are encoded.
type order struct {
	Customer customer  `json:"customer"`
	ID       int       `json:"id"`
	Notes    []string  `json:"notes"`
	Open     bool      `json:"open"`
	Prices   []float64 `json:"prices"`
}

type customer struct {
	Address string `json:"address"`
	Name    string `json:"name"`
}

var document = generate(100)

func generate(n int) []byte {
	var s words.Source
	orders := make([]order, n)
	for i := range orders {
		o := order{ID: i, Open: s.N(2) == 0, Customer: customer{Name: s.Phrase(2), Address: s.Phrase(5)}}
		for range 1 + s.N(4) {
			o.Notes = append(o.Notes, s.Phrase(3)+" \"<quoted>\"\n")
			o.Prices = append(o.Prices, float64(s.N(100_000))/100)
		}
		orders[i] = o
	}
	b, err := json.Marshal(orders)
	if err != nil {
		panic(err)
	}
	return b
}

//go:wasmexport run
func run() int32 {
	var orders []order
	var values any
	for _, v := range []any{&orders, &values} {
		if err := json.Unmarshal(document, v); err != nil {
			return 1
		}
		b, err := json.Marshal(v)
		if err != nil {
			return 2
		}
		if !bytes.Equal(b, document) {
			return 3
		}
	}
	return 0
}

func main() {}
