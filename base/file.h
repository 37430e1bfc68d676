// Whole small files.
#ifndef PODROUTE_BASE_FILE_H_
#define PODROUTE_BASE_FILE_H_

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/status.h"

namespace podroute {

inline constexpr size_t kMaxFileBytes = 64u << 20;

// The whole file. "-" is not special. A file larger than `max_bytes`, or a directory, is an error.
// Errors name the path.
Result<std::string> ReadFile(const std::string& path, size_t max_bytes = kMaxFileBytes);

// As ReadFile, from an open descriptor to its end; `name` is for messages. Does not close it.
Result<std::string> ReadAll(int fd, const std::string& name, size_t max_bytes = kMaxFileBytes);

// Replaces `path` so that a reader, and a machine that loses power, sees the old content or the new
// one and nothing between: temporary file in the same directory, fsync, rename, fsync the
// directory. On error nothing has changed and no temporary file is left.
Status WriteFileAtomically(const std::string& path, std::string_view content, mode_t mode = 0644);

// The two halves of it, for a temporary file of another name. The first makes and syncs `prefix`
// and six random characters, and returns that name; on error nothing is left. The second puts it in
// the place of `path`, in the same directory, or with `replace` false only where nothing is (else
// AlreadyExists); on error the temporary file is gone.
Result<std::string> WriteTemporaryFile(const std::string& prefix, std::string_view content,
                                       mode_t mode);
Status MoveIntoPlace(const std::string& temporary, const std::string& path, bool replace);

}  // namespace podroute

#endif  // PODROUTE_BASE_FILE_H_
