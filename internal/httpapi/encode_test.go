package httpapi

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// fill sets fields of a value at random, all of them, so that one that is new is not forgotten.
func fill(t *rapid.T, v reflect.Value) {
	if rapid.IntRange(0, 2).Draw(t, "set") == 0 {
		return
	}
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()))
		return
	case map[string]any:
		v.Set(reflect.ValueOf(map[string]any{"a<": rapid.String().Draw(t, "arg")}))
		return
	case error, manager.Func:
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() && v.Type().Field(i).Name != "Err" && v.Type().Field(i).Name != "Func" {
				fill(t, v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "bytes"))
			return
		}
		n := rapid.IntRange(0, 2).Draw(t, "n")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(rapid.MapOfN(rapid.String(), rapid.String(), 0, 2).Draw(t, "map")))
	case reflect.String:
		v.SetString(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"plain", "<&>", "\u2028", "\xff", `"\`, "\x00\x7f"})).Draw(t, "string"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(rapid.Int32().Draw(t, "int")))
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(rapid.Uint32().Draw(t, "uint")))
	case reflect.Float64:
		v.SetFloat(rapid.Float64Range(0, 1).Draw(t, "float"))
	}
}

// TestEventsAreWrittenAsByEncodingJSON compares the encoder with that of the standard library.
func TestEventsAreWrittenAsByEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e manager.Event
		fill(t, reflect.ValueOf(&e.Kind).Elem())
		fill(t, reflect.ValueOf(&e.Time).Elem())
		for i := range reflect.TypeFor[manager.Task]().NumField() {
			fill(t, reflect.ValueOf(&e.Task).Elem().Field(i))
		}
		want, err := json.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		got := appendEvent([]byte("before"), &e)[len("before"):]
		var a, b any
		if err := json.Unmarshal(got, &a); err != nil {
			t.Fatalf("%v: %s", err, got)
		}
		if err := json.Unmarshal(want, &b); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%s\n%s", got, want)
		}
	})
	pending := manager.Task{ID: "x", Status: manager.StatusPending, Spec: manager.Spec{Steps: []manager.Step{{Plugin: "p"}}}, Usage: abi.Usage{Ticks: 1}}
	room := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { appendTask(room, &pending) }); n > 0 {
		t.Errorf("%v allocations for an ordinary task", n)
	}
}
