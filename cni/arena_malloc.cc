// Memory for a process that lives for two milliseconds: the first of it comes from one array, piece
// by piece, and what is given back there is forgotten. musl's malloc asks the kernel for pages in
// many small steps and returns each at once; system calls and page faults of that kind were a tenth
// of an ADD. What does not fit into the array any more, as with stores of many reservations, is
// musl's.
//
// The linker puts these in front of the C library's (--wrap): see cni/BUILD.bazel. One thread only.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

extern "C" {

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
void* __real_malloc(size_t size);
void* __real_realloc(void* block, size_t size);
void __real_free(void* block);

void* __wrap_malloc(size_t size);
void* __wrap_calloc(size_t count, size_t size);
void* __wrap_realloc(void* block, size_t size);
void __wrap_free(void* block);
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

}  // extern "C"

namespace {

// Pages that nobody touches cost nothing, so netlink's buffers (256 KiB each) may lie here.
constexpr size_t kArenaBytes = 2u << 20;
constexpr size_t kAlign = 16;

alignas(kAlign) char arena[kArenaBytes];
size_t used = 0;

// In front of each block, in kAlign bytes of its own.
size_t& SizeOf(char* block) { return *reinterpret_cast<size_t*>(block - kAlign); }

size_t Rounded(size_t size) { return (size + kAlign - 1) / kAlign * kAlign; }

bool InArena(const void* block) {
  return reinterpret_cast<uintptr_t>(block) - reinterpret_cast<uintptr_t>(arena) < kArenaBytes;
}

// Whether nothing has been taken after it: then it may grow, and its place be used again.
bool IsLast(char* block) { return block + Rounded(SizeOf(block)) == arena + used; }

bool Fits(size_t size, size_t at) {
  return size <= kArenaBytes && Rounded(size) <= kArenaBytes - at;
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
void* __wrap_malloc(size_t size) {
  if (used + kAlign > kArenaBytes || !Fits(size, used + kAlign)) return __real_malloc(size);
  char* block = arena + used + kAlign;
  used += kAlign + Rounded(size);
  SizeOf(block) = size;
  return block;
}

void* __wrap_calloc(size_t count, size_t size) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
  void* block = __wrap_malloc(bytes);
  if (block != nullptr) std::memset(block, 0, bytes);
  return block;
}

void* __wrap_realloc(void* block, size_t size) {
  if (block == nullptr) return __wrap_malloc(size);
  if (!InArena(block)) return __real_realloc(block, size);
  char* old = static_cast<char*>(block);
  if (IsLast(old) && Fits(size, static_cast<size_t>(old - arena))) {
    used = static_cast<size_t>(old - arena) + Rounded(size);
    SizeOf(old) = size;
    return old;
  }
  void* moved = __wrap_malloc(size);
  if (moved != nullptr) std::memcpy(moved, old, std::min(SizeOf(old), size));
  return moved;
}

void __wrap_free(void* block) {
  if (!InArena(block)) {
    __real_free(block);
    return;
  }
  char* old = static_cast<char*>(block);
  if (IsLast(old)) used = static_cast<size_t>(old - arena) - kAlign;
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
