// A part of the module in C++; see trap.c.
namespace geometry {

template <typename T> struct Shape {
  T width;
  __attribute__((noinline)) T area(T height) {
    if (width == height) __builtin_trap(); // mark: area
    return width * height;
  }
};

} // namespace geometry

extern "C" __attribute__((export_name("method"))) int method() {
  geometry::Shape<int> shape = {7};
  volatile int seven = 7;
  return shape.area(seven) + 1; // mark: method
}
