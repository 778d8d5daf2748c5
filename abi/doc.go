// Package abi is the contract between host and guest, and the values that cross every other seam of taskhost:
// [Call] and [Result], [Progress] and [Usage], [Manifest], [Code] and [Error], names and versions.
//
// It imports the standard library alone, so that every package, and a program that embeds only one of them, can use it.
//
// The guest's side of the contract, the functions that a plugin can import, is written down in guest.go for authors of any language.
package abi
