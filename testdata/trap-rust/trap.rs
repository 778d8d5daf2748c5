//! Traps in places that a test knows: see host/stack_test.go, which looks for the marks in this file.

struct Walker {
    depth: usize,
}

impl Walker {
    #[inline(never)]
    fn walk(&mut self, list: &[u32], left: u32) -> u32 {
        self.depth += 1;
        if left == 0 {
            return pick(list, self.depth); // mark: walk
        }
        let found = self.walk(list, left - 1); // mark: step
        self.depth -= 1;
        found + self.depth as u32
    }
}

#[inline(always)]
fn pick(list: &[u32], at: usize) -> u32 {
    list[at] // mark: pick
}

#[no_mangle]
pub extern "C" fn index() -> u32 {
    Walker { depth: 7 }.walk(&[1, 2, 3], 2) // mark: index
}

#[no_mangle]
pub extern "C" fn unwrap() -> u32 {
    let none: Vec<String> = Vec::new();
    none.iter().map(|s| s.len() as u32).max().unwrap() // mark: unwrap
}
