#include "contract.h"

// A constructor that has to have run, once: what the C plugin does not have.
struct Made {
  int value;
  Made() : value(42) {}
};
static Made made;

TASKHOST_EXPORT(made) { return taskhost_output_text(taskhost_text("%d", made.value++)); }
