//go:build !wasip1

package guest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
)

// The names are written out in go:wasmimport, since the package does not import abi: here they are compared.
func TestImportsAreThoseOfTheContract(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "imports_wasip1.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		words := strings.Fields(f.Doc.List[0].Text)
		if len(words) != 3 || words[0] != "//go:wasmimport" {
			t.Errorf("%s: %q", f.Name, f.Doc.List[0].Text)
			continue
		}
		switch words[1] {
		case abi.ModuleUser:
			ours = append(ours, words[2])
		case abi.ModuleEnv:
		default:
			t.Errorf("%s: module %s", f.Name, words[1])
		}
	}
	want := []string{
		abi.FuncProgress, abi.FuncCancelled, abi.FuncMetricAdd, abi.FuncMetricSet, abi.FuncMetricObserve, abi.FuncInvalidInput,
		abi.FuncCheckpointSave, abi.FuncCheckpointLoad, abi.FuncRead, abi.FuncWrite,
	}
	if !slices.Equal(ours, want) {
		t.Errorf("got %v, want %v", ours, want)
	}
}
