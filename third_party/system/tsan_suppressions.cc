// Reports of ThreadSanitizer about Debian's libraries, which are not instrumented. libcpprest and
// Boost: their reference counts are atomic operations that it does not see, so a deletion by the
// last owner looks unordered. Only the frames that count and delete are named; our own code that
// the library calls is still looked at. Linked into whatever uses libcpprest, and empty without the
// sanitizer.
#ifdef __SANITIZE_THREAD__

extern "C" const char* __tsan_default_suppressions();  // NOLINT(bugprone-reserved-identifier)

extern "C" const char* __tsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier)
  return "race:web::http::client::details::asio_context::~asio_context\n"
         "race:pplx::details::_CancellationTokenCallback\n"
         "race:pplx::details::_RefCounter::_Destroy\n"
         // Sets an event on the stack of the thread that takes its registration back, and waits.
         "race:pplx::details::_CancellationTokenRegistration::_Invoke\n"
         // glog asks for the time zone's offset; glibc guards that with a lock of its own inside.
         "race:tzset_internal\n";
}

#endif
