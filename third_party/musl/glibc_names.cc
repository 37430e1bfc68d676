// What Debian's static libraries (libstdc++, libgcc_eh, libnl), and code compiled with glibc's
// headers, call by names that only glibc has, for an executable that is linked with musl.
//
// Why that: a static glibc program runs some seventy CPUID instructions before main, to choose
// among its memcpys and to size caches that nobody asked about. A hypervisor emulates each of them:
// half a millisecond, a third of a pod's whole ADD. musl asks nothing.
//
// On x86_64 and aarch64 musl keeps glibc's layout of everything that crosses here (struct stat,
// dirent, msghdr of one part, sigset_t, posix_spawn's objects); what it declares otherwise (GNU's
// strerror_r) is below.
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp,cert-dcl50-cpp)
extern "C" {

// What identifies this program to atexit; else in gcc's crtbegin.o, which nothing else is needed
// of.
void* __dso_handle = nullptr;

// One thread only: shared_ptr counts without atomic instructions.
char __libc_single_threaded = 1;

// Not there: libgcc's unwinder goes on with dl_iterate_phdr.
int _dl_find_object(void* /*address*/, void* /*found*/) { return -1; }

// ---- _FORTIFY_SOURCE's variants; the checks are left out.

int __vfprintf_chk(FILE* file, int /*flag*/, const char* format, va_list arguments) {
  return vfprintf(file, format, arguments);
}

int __fprintf_chk(FILE* file, int /*flag*/, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vfprintf(file, format, arguments);
  va_end(arguments);
  return length;
}

int __snprintf_chk(char* text, size_t size, int /*flag*/, size_t /*room*/, const char* format,
                   ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, size, format, arguments);
  va_end(arguments);
  return length;
}

int __vasprintf_chk(char** text, int /*flag*/, const char* format, va_list arguments) {
  return vasprintf(text, format, arguments);
}

int __poll_chk(pollfd* fds, nfds_t count, int timeout_ms, size_t /*room*/) {
  return poll(fds, count, timeout_ms);
}

// ---- Functions of glibc's.

int renameat2(int from_directory, const char* from, int to_directory, const char* to,
              unsigned flags) {
  return static_cast<int>(syscall(SYS_renameat2, from_directory, from, to_directory, to, flags));
}

// std::condition_variable's wait by steady_clock. musl waits by the wall clock here, so a step of
// it makes the wait longer or shorter; the plugin has one thread and never waits.
int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* until) {
  constexpr long kNanoseconds = 1000000000;
  timespec now{};
  timespec wall{};
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, &wall);
  wall.tv_sec += until->tv_sec - now.tv_sec;
  wall.tv_nsec += until->tv_nsec - now.tv_nsec;
  if (wall.tv_nsec < 0) {
    wall.tv_nsec += kNanoseconds;
    --wall.tv_sec;
  } else if (wall.tv_nsec >= kNanoseconds) {
    wall.tv_nsec -= kNanoseconds;
    ++wall.tv_sec;
  }
  return pthread_cond_timedwait(condition, mutex, &wall);
}

// GNU's: returns the text. POSIX's, which musl has under this name, returns a number.
char* strerror_r(int error, char* /*buffer*/, size_t /*size*/) { return strerror(error); }
const char* strerrordesc_np(int error) { return strerror(error); }
const char* sigdescr_np(int signal) { return strsignal(signal); }

const char* strerrorname_np(int error) {
#define NAME(code) \
  case code:       \
    return #code;
  switch (error) {
    NAME(EPERM)
    NAME(ENOENT)
    NAME(ESRCH)
    NAME(EINTR)
    NAME(EIO)
    NAME(ENXIO)
    NAME(E2BIG)
    NAME(EBADF)
    NAME(ECHILD)
    NAME(EAGAIN)
    NAME(ENOMEM)
    NAME(EACCES)
    NAME(EFAULT)
    NAME(EBUSY)
    NAME(EEXIST)
    NAME(EXDEV)
    NAME(ENODEV)
    NAME(ENOTDIR)
    NAME(EISDIR)
    NAME(EINVAL)
    NAME(ENFILE)
    NAME(EMFILE)
    NAME(EFBIG)
    NAME(ENOSPC)
    NAME(EROFS)
    NAME(EMLINK)
    NAME(EPIPE)
    NAME(EDOM)
    NAME(ERANGE)
    NAME(EDEADLK)
    NAME(ENAMETOOLONG)
    NAME(ENOSYS)
    NAME(ENOTEMPTY)
    NAME(ELOOP)
    NAME(ENODATA)
    NAME(ETIME)
    NAME(ENOLINK)
    NAME(EPROTO)
    NAME(EMULTIHOP)
    NAME(EBADMSG)
    NAME(EOVERFLOW)
    NAME(ENOTUNIQ)
    NAME(EUSERS)
    NAME(ENOTSOCK)
    NAME(EDESTADDRREQ)
    NAME(EMSGSIZE)
    NAME(EPROTOTYPE)
    NAME(ENOPROTOOPT)
    NAME(EPROTONOSUPPORT)
    NAME(EOPNOTSUPP)
    NAME(EPFNOSUPPORT)
    NAME(EAFNOSUPPORT)
    NAME(EADDRINUSE)
    NAME(EADDRNOTAVAIL)
    NAME(ENETDOWN)
    NAME(ENETUNREACH)
    NAME(ENETRESET)
    NAME(ECONNABORTED)
    NAME(ECONNRESET)
    NAME(ENOBUFS)
    NAME(EISCONN)
    NAME(ENOTCONN)
    NAME(ETIMEDOUT)
    NAME(ECONNREFUSED)
    NAME(EHOSTDOWN)
    NAME(EHOSTUNREACH)
    NAME(EALREADY)
    NAME(EINPROGRESS)
    NAME(ESTALE)
    NAME(EDQUOT)
    NAME(ECANCELED)
    default:
      return nullptr;
  }
#undef NAME
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp,cert-dcl50-cpp)
