// The smallest processor in C, and in C++.
#include "taskhost.h"

TASKHOST_EXPORT(process) {
  taskhost_bytes text = taskhost_input();
  for (size_t i = 0; i < text.length; i++)
    if (text.data[i] >= 'a' && text.data[i] <= 'z') text.data[i] -= 'a' - 'A';
  return taskhost_output(text.data, text.length);
}
