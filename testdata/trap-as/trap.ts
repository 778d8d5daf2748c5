// Traps in a place that a test knows: see host/stack_test.go.

@external("extism:host/env", "input_length")
declare function inputLength(): i64;

class Walker {
  at(list: i32[], n: i32): i32 {
    return list[n];
  }
}

export function process(): i32 {
  return new Walker().at([1, 2, 3], <i32>inputLength());
}
